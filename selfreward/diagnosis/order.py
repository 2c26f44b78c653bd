"""Order bias: of two responses, the place says more than the response."""

from collections.abc import Sequence
from typing import Any

from selfreward.diagnosis import thresholds as at
from selfreward.diagnosis.family import Check, Family, at_most
from selfreward.diagnosis.numbers import share, within
from selfreward.evaluation.opinion import EVEN, orders_of
from selfreward.records import Judgment

_NEEDS = "only judge.method.type: pairwise compares"


class Order(Family):
    """Verdicts on two responses, in both orders."""

    failure = "order bias"
    checks = (
        Check(
            "swap_flip_share",
            "verdicts that flip",
            lambda now, _: within(now, "swap_flip_share"),
            at_most(at.FLIPS),
            "The place decides more verdicts than the responses do; both orders are averaged, which leaves little.",
            "judge.method.verdict: sampled, or judge.method.type: expected, which looks at one response at a time",
            _NEEDS,
            ("comparisons", at.MIN_RESPONSES),
        ),
        Check("first_place_share", "first place wins", lambda now, _: within(now, "first_place_share"), needs=_NEEDS),
    )

    def __init__(self) -> None:
        self._flipped = self._both = self._first = self._decided = self._comparisons = 0

    def judgments(self, judgments: Sequence[Judgment]) -> None:
        """One prompt's: which verdicts on a pair contradict each other."""
        for orders in orders_of(judgments).values():
            self._flipped += orders.flips
            self._both += orders.both
        for judgment in judgments:
            if len(judgment.response_ids) == 2:
                self._comparisons += 1
                if judgment.score is not None and judgment.score != EVEN:
                    self._decided += 1
                    self._first += judgment.score > EVEN

    def figures(self) -> dict[str, Any]:
        """Nothing where no two responses were compared."""
        if not self._comparisons:
            return {}
        return {
            "comparisons": self._comparisons,
            "swap_flip_share": share(self._flipped, self._both),
            "first_place_share": share(self._first, self._decided),
        }
