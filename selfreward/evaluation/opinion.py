"""What a judge says of responses and of pairs of them, whichever method it was asked by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from selfreward.records import Judgment

EVEN = 0.5
"""The score of a verdict on two responses that prefers neither: such a score is the first one's chance to be better."""
_NOTHING = 1e-9
"""Means of the same scores may differ by less than this in floating point."""


@dataclass(frozen=True)
class Opinion:
    """A judge's word on responses. Unreadable verdicts are left out of every mean."""

    scores: Mapping[str, float]
    """By the response's id; what could not be read is not in it."""
    verdicts: Mapping[tuple[str, str], float | None] = field(default_factory=dict)
    """By pair that was judged as one, the lower id first: its chance to be better; None where an order was not read."""

    def lead(self, one: str, other: str) -> float | None:
        """Above 0 where ``one`` is judged better, 0 for a tie, None where the judge could not be read.

        A verdict on the very pair counts before the two scores.
        """
        low, high = sorted((one, other))
        if (low, high) in self.verdicts:
            chance = self.verdicts[low, high]
            lead = None if chance is None else (chance - EVEN) * (1 if one == low else -1)
        elif one in self.scores and other in self.scores:
            lead = self.scores[one] - self.scores[other]
        else:
            lead = None
        return 0.0 if lead is not None and abs(lead) < _NOTHING else lead


@dataclass(frozen=True)
class Orders:
    """The verdicts on one pair in both orders: each is the chance of the same response to be better."""

    shown_first: float | None
    shown_second: float | None

    @property
    def both(self) -> bool:
        """Whether both orders could be read."""
        return self.shown_first is not None and self.shown_second is not None

    @property
    def flips(self) -> bool:
        """Whether the two orders prefer different responses; where one of them ties, nothing is preferred."""
        if self.shown_first is None or self.shown_second is None:
            return False
        return (self.shown_first - EVEN) * (self.shown_second - EVEN) < 0


def opinion_of(judgments: Iterable[Judgment]) -> Opinion:
    """The mean of each response's readable verdicts, and of each pair's over both orders.

    Where only pairs were judged, a response's score is its mean chance against the others.
    """
    scores: defaultdict[str, list[float]] = defaultdict(list)
    pairs: defaultdict[tuple[str, str], list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        if len(judgment.response_ids) == 2:
            first, second = judgment.response_ids
            pairs[min(first, second), max(first, second)].append(judgment)
        elif judgment.score is not None:
            scores[judgment.response_ids[0]].append(judgment.score)
    verdicts = {pair: _chance(pair, own) for pair, own in pairs.items()}
    if not scores:
        for (low, high), chance in verdicts.items():
            if chance is not None:
                scores[low].append(chance)
                scores[high].append(1 - chance)
    return Opinion({one: fmean(sorted(own)) for one, own in scores.items()}, verdicts)


def orders_of(judgments: Iterable[Judgment]) -> dict[tuple[str, str], Orders]:
    """Of each pair that was judged as a pair, the lower id first, its mean verdict in either order."""
    found: defaultdict[tuple[str, str], list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        if len(judgment.response_ids) == 2:
            found[min(judgment.response_ids), max(judgment.response_ids)].append(judgment)
    return {pair: _orders(pair, own) for pair, own in found.items()}


def _orders(pair: tuple[str, str], judgments: Iterable[Judgment]) -> Orders:
    own = list(judgments)
    first = [j.score for j in own if j.score is not None and j.response_ids[0] == pair[0]]
    second = [1 - j.score for j in own if j.score is not None and j.response_ids[0] == pair[1]]
    return Orders(fmean(first) if first else None, fmean(second) if second else None)


def _chance(pair: tuple[str, str], judgments: Iterable[Judgment]) -> float | None:
    """The mean of both orders; one order alone says as much about the place as about the response."""
    orders = _orders(pair, judgments)
    if orders.shown_first is None or orders.shown_second is None:
        return None
    return fmean((orders.shown_first, orders.shown_second))
