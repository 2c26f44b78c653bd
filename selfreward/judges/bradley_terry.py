"""Strengths from comparisons (Bradley and Terry 1952, Biometrika 39), fitted by choix."""

from collections.abc import Mapping

_REGULARISATION = 1e-3
"""choix's ``alpha``: keeps a response that won or lost everything at a finite distance."""
_MOST_ROUNDS = 1000


def strengths(count: int, wins: Mapping[tuple[int, int], float]) -> list[float | None]:
    """Of ``count`` items, in logits around zero; None for one that was not compared with most of the others.

    Strengths compare only where a chain of comparisons leads from one item to the other, so of several such groups the
    largest counts, the first of equals.

    ``wins[i, j]`` is how often i beat j, with ``wins[j, i]`` beside it; parts of a win count as such. The probability
    that i beats j is the logistic function of the difference of their strengths.
    """
    compared = _connected(wins)
    if not compared:
        return [None] * count
    import numpy as np
    from choix import ilsr_pairwise_dense

    place = {item: number for number, item in enumerate(compared)}
    table = np.zeros((len(compared), len(compared)))
    for (winner, loser), times in wins.items():
        if winner in place:
            table[place[winner], place[loser]] += times
    fitted = ilsr_pairwise_dense(table, alpha=_REGULARISATION, max_iter=_MOST_ROUNDS)
    # Rounded, or equal items would differ by the noise of floating point and be no tie.
    return [round(float(fitted[place[item]]), 9) + 0.0 if item in place else None for item in range(count)]


def _connected(wins: Mapping[tuple[int, int], float]) -> list[int]:
    """The largest group of items that comparisons connect, in order."""
    group: dict[int, set[int]] = {}
    for pair in wins:
        joined = set(pair).union(*(group.get(item, ()) for item in pair))
        group |= dict.fromkeys(joined, joined)
    largest: set[int] = max(group.values(), key=lambda items: (len(items), -min(items)), default=set())
    return sorted(largest)
