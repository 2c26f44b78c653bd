"""Highest against lowest mean score (Yuan et al. 2024, section 2.3)."""

from collections.abc import Sequence
from typing import Literal

from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Choice, PairSettings, no_pair, text_of


class BestWorstConfig(PairSettings):
    """The best response against the worst."""

    type: Literal["best_worst"] = "best_worst"

    def choose(self, scored: Sequence[Scored], seed: int) -> Choice:
        """See :func:`best_worst`."""
        return best_worst(scored, self.min_margin)


def best_worst(scored: Sequence[Scored], min_margin: float) -> Choice:
    """Of equal scores the response with the lowest index stands for all.

    Reasons: ``too_few_usable``, ``tie``, ``small_margin``, ``identical``.
    """
    if reason := no_pair(scored, min_margin):
        return reason
    best = min(scored, key=lambda s: (-s.score, s.response.index))
    worst = min(scored, key=lambda s: (s.score, s.response.index))
    return [(best, worst)] if text_of(best) != text_of(worst) else "identical"
