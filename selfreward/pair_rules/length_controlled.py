"""Shortest of the best against longest of the worst, against growing answers (Meta-Rewarding, Wu et al. 2024,
arXiv 2407.19594)."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Choice, PairSettings, no_pair, text_of

Rho = Annotated[float, Field(ge=0, lt=0.5)]
"""Half the range would let the two tiers meet."""


class LengthControlledConfig(PairSettings):
    """Of the best responses the shortest, against the longest of the worst."""

    type: Literal["length_controlled"] = "length_controlled"
    rho: Rho | Annotated[tuple[Rho, ...], Field(min_length=1)] = 0.1
    """How much of the range between the worst and the best score counts as best, and as worst; at least 0, below 0.5.
    A list has one value an iteration, and of it only an iteration's own value is in its key."""

    def choose(self, scored: Sequence[Scored], seed: int) -> Choice:
        """See :func:`length_controlled`."""
        assert isinstance(self.rho, float)  # at() comes first
        return length_controlled(scored, self.rho, self.min_margin)

    def at(self, iteration: int) -> Self:
        """The rule with that iteration's rho."""
        return self.model_copy(update={"rho": self.rho[iteration - 1]}) if isinstance(self.rho, tuple) else self

    def problem(self, iterations: int) -> str | None:
        """Too few values of rho."""
        if isinstance(self.rho, tuple) and len(self.rho) < iterations:
            return f"pairs.rho has {len(self.rho)} values for {iterations} iterations; give each one, or one for all"
        return None


def length_controlled(scored: Sequence[Scored], rho: float, min_margin: float) -> Choice:
    """Chosen is the shortest response of the top tier, rejected the longest of the bottom tier, in characters.

    The tiers are the scores within ``rho`` of the range between best and worst, counted from either end; with 0 only
    equal scores share a tier. Of equal lengths the better (or worse) score, then the lowest index.

    Reasons: ``too_few_usable``, ``tie``, ``small_margin``, ``small_tier_margin`` (that of the two, where the best and
    the worst are far enough apart), ``identical``.
    """
    if reason := no_pair(scored, min_margin):
        return reason
    low, high = min(s.score for s in scored), max(s.score for s in scored)
    width = rho * (high - low)
    top = [s for s in scored if s.score >= high - width]
    bottom = [s for s in scored if s.score <= low + width]
    best = min(top, key=lambda s: (len(text_of(s)), -s.score, s.response.index))
    worst = min(bottom, key=lambda s: (-len(text_of(s)), s.score, s.response.index))
    if best.score <= worst.score or best.score - worst.score < min_margin:  # rounding can let the tiers touch
        return "small_tier_margin"
    return [(best, worst)] if text_of(best) != text_of(worst) else "identical"
