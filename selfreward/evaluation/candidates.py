"""Which of several candidates for M_{t+1} does best against M_t."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction

from selfreward.evaluation.contests import Contest, outcome
from selfreward.evaluation.opinion import orders_of
from selfreward.records import Frozen, Judgment


class Candidate(Frozen):
    """The policy after a step, against M_t."""

    step: int
    wins: int
    ties: int
    losses: int
    unreadable: int
    """Pairs with an order in which no verdict could be read."""
    win_rate: float | None
    """Wins and half of the ties, of the pairs that could be read; None where there is none."""


def against(step: int, pairs: Iterable[Contest], judgments: Iterable[Judgment]) -> Candidate:
    """What the verdicts on a candidate, the second of each pair, come to."""
    orders = orders_of(judgments)
    chances = [pair.chances(orders) for pair in pairs]
    came = Counter(outcome(found) for found in chances if found is not None)
    points = _points(came["win"], came["tie"], came["loss"])
    return Candidate(
        step=step,
        wins=came["win"],
        ties=came["tie"],
        losses=came["loss"],
        unreadable=chances.count(None),
        win_rate=None if points is None else round(float(points), 4),
    )


def best(candidates: Iterable[Candidate]) -> Candidate | None:
    """The one that wins most, and of equals the earliest; None where no verdict could be read."""
    points = ((_points(one.wins, one.ties, one.losses), one) for one in candidates)
    read = [(-share, one.step, one) for share, one in points if share is not None]
    return min(read, key=lambda found: found[:2])[2] if read else None


def _points(wins: int, ties: int, losses: int) -> Fraction | None:
    """Of one; exact, so that candidates are equal only where they are."""
    readable = wins + ties + losses
    return Fraction(2 * wins + ties, 2 * readable) if readable else None
