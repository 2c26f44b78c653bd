"""Rejected responses are the initial model's, so that chosen and rejected do not grow alike (Temporal Self-Rewarding,
arXiv 2508.06026; its other half, responses of a future model as chosen, is not here)."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Asks, Choice, PairSettings, text_of


class RejectedFromInitialConfig(PairSettings):
    """The best response against the worst that the initial model writes to the same prompt."""

    type: Literal["rejected_from_initial"] = "rejected_from_initial"
    initial: Literal["M0", "M1"] = "M0"
    """The model whose responses are rejected: the root model, or what SFT made of it."""

    asks: ClassVar[Asks] = "initial"

    def choose(self, scored: Sequence[Scored], seed: int) -> Choice:
        """See :func:`rejected_from_initial`."""
        return rejected_from_initial(scored, self.min_margin)


def rejected_from_initial(scored: Sequence[Scored], min_margin: float) -> Choice:
    """The best of the policy's responses and the worst of the initial model's; of equal scores the lowest index.

    Reasons: ``one_side_only``, ``initial_not_worse`` (a tie, or the initial model's worst is the better one),
    ``small_initial_margin``, ``identical``.
    """
    own, initial = ([s for s in scored if s.initial is side] for side in (False, True))
    if not own or not initial:
        return "one_side_only"
    best = min(own, key=lambda s: (-s.score, s.response.index))
    worst = min(initial, key=lambda s: (s.score, s.response.index))
    if best.score <= worst.score:
        return "initial_not_worse"
    if best.score - worst.score < min_margin:
        return "small_initial_margin"
    return [(best, worst)] if text_of(best) != text_of(worst) else "identical"
