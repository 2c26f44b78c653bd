"""Highest against lowest mean score (Yuan et al. 2024, section 2.3)."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from selfreward.pair_rules.scored import Scored
from selfreward.records import Frozen


class BestWorstConfig(Frozen):
    """The best response against the worst."""

    type: Literal["best_worst"] = "best_worst"
    min_margin: float = Field(default=0.0, ge=0)
    """Least difference of the two scores. Expected scores hardly ever tie, so give them a margin."""
    min_readable: int = Field(default=1, ge=1)
    """Least number of readable verdicts that a response needs."""
    content: Literal["answer", "reasoning_and_answer"] = "answer"
    """What of a response that thinks aloud is trained on."""

    def choose(self, scored: Sequence[Scored]) -> tuple[Scored, Scored] | str:
        """See :func:`best_worst`."""
        return best_worst(scored, self)


def best_worst(scored: Sequence[Scored], config: BestWorstConfig) -> tuple[Scored, Scored] | str:
    """(chosen, rejected) among one prompt's responses, or the reason why there is no pair.

    Of equal scores the response with the lowest index stands for all, so the order of ``scored`` does not matter.
    Reasons: ``too_few_usable``, ``tie``, ``small_margin``, ``identical``.
    """
    if len(scored) < 2:
        return "too_few_usable"
    best = min(scored, key=lambda s: (-s.score, s.response.index))
    worst = min(scored, key=lambda s: (s.score, s.response.index))
    if best.score == worst.score:
        return "tie"
    if best.score - worst.score < config.min_margin:
        return "small_margin"
    if best.response.text.strip() == worst.response.text.strip():
        return "identical"
    return best, worst
