"""Strengths from comparisons (Bradley and Terry 1952, Biometrika 39), fitted by choix."""

from collections.abc import Mapping

_REGULARISATION = 1e-3
"""choix's ``alpha``: keeps a response that won or lost everything at a finite distance."""
_MOST_ROUNDS = 1000


def strengths(count: int, wins: Mapping[tuple[int, int], float]) -> list[float | None]:
    """Of ``count`` items, in logits around zero; None for one that was never compared.

    ``wins[i, j]`` is how often i beat j, with ``wins[j, i]`` beside it; parts of a win count as such. The probability
    that i beats j is the logistic function of the difference of their strengths.
    """
    compared = sorted({item for pair in wins for item in pair})
    if not compared:
        return [None] * count
    import numpy as np
    from choix import ilsr_pairwise_dense

    place = {item: number for number, item in enumerate(compared)}
    table = np.zeros((len(compared), len(compared)))
    for (winner, loser), times in wins.items():
        table[place[winner], place[loser]] += times
    fitted = ilsr_pairwise_dense(table, alpha=_REGULARISATION, max_iter=_MOST_ROUNDS)
    return [float(fitted[place[item]]) if item in place else None for item in range(count)]
