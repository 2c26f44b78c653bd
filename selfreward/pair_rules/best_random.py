"""The best response against one drawn from the worse ones, as Zephyr's data has it (Tunstall et al. 2023)."""

import random
from collections.abc import Sequence
from typing import ClassVar, Literal

from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Choice, PairSettings, no_pair, text_of
from selfreward.records import derive_seed


class BestRandomConfig(PairSettings):
    """The best response against a random worse one."""

    type: Literal["best_random"] = "best_random"
    seeded: ClassVar[bool] = True

    def choose(self, scored: Sequence[Scored], seed: int) -> Choice:
        """See :func:`best_random`."""
        return best_random(scored, self.min_margin, seed)


def best_random(scored: Sequence[Scored], min_margin: float, seed: int) -> Choice:
    """Drawn from the responses that are worse by at least the margin and have another text.

    The draw depends on the seed and the prompt alone, not on what else is drawn.

    Reasons: ``too_few_usable``, ``tie``, ``small_margin``, ``identical``.
    """
    if reason := no_pair(scored, min_margin):
        return reason
    best = min(scored, key=lambda s: (-s.score, s.response.index))
    worse = [s for s in scored if s.score < best.score and best.score - s.score >= min_margin]
    others = sorted((s for s in worse if text_of(s) != text_of(best)), key=lambda s: s.response.index)
    if not others:
        return "identical"
    draw = random.Random(derive_seed(seed, best.response.prompt_id))
    return [(best, draw.choice(others))]
