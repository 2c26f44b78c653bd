"""The best and the worst of a response's judgments, by comparisons in both orders."""

from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.evaluation.contests import outcome
from selfreward.evaluation.opinion import orders_of
from selfreward.judges.bradley_terry import strengths
from selfreward.records import Judgment


@dataclass(frozen=True, slots=True)
class Placed:
    """A judgment and its Bradley-Terry strength."""

    judgment: Judgment
    strength: float


def winners(comparisons: Sequence[Judgment]) -> dict[tuple[str, str], str | None]:
    """Of each two judgments whose verdicts could be read in both orders, the lower id first: the id of the better one.

    None where the orders disagree or one of them is even: a place has won, and no judgment.
    """
    found: dict[tuple[str, str], str | None] = {}
    for (low, high), orders in orders_of(comparisons).items():
        if orders.shown_first is not None and orders.shown_second is not None:
            found[low, high] = {"win": low, "loss": high, "tie": None}[
                outcome((orders.shown_first, orders.shown_second))
            ]
    return found


def best_and_worst(judgments: Sequence[Judgment], comparisons: Sequence[Judgment]) -> tuple[Placed, Placed] | str:
    """The strongest judgment and the weakest of those that comparisons connect.

    Of equals the shortest is the best and the longest the worst. Reasons for none: ``unreadable`` (no two could be read
    in both orders), ``no_agreement`` (no two orders agree), ``tie`` (all that won or lost are equally strong).
    """
    decided = winners(comparisons)
    if not decided:
        return "unreadable"
    by_id = {judgment.id: judgment for judgment in judgments}
    places = {id: place for place, id in enumerate(sorted(by_id))}
    wins = {}
    for (low, high), winner in decided.items():
        if winner is not None:
            wins[places[low], places[high]] = float(winner == low)
            wins[places[high], places[low]] = float(winner == high)
    if not wins:
        return "no_agreement"
    found = zip(sorted(by_id), strengths(len(places), wins), strict=True)
    placed = [Placed(by_id[id], strength) for id, strength in found if strength is not None]
    best = min(placed, key=lambda p: (-p.strength, _length(p.judgment), p.judgment.sample))
    worst = min(placed, key=lambda p: (p.strength, -_length(p.judgment), p.judgment.sample))
    return (best, worst) if best.strength > worst.strength else "tie"


def _length(judgment: Judgment) -> int:
    return len(judgment.raw.strip())
