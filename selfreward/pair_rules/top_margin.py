"""Best against worst, and of an iteration's pairs only those with the widest margins."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from selfreward.pair_rules.best_worst import best_worst
from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Choice, PairSettings


class TopMarginConfig(PairSettings):
    """The best response against the worst, for the prompts where they are furthest apart."""

    type: Literal["top_margin"] = "top_margin"
    fraction: float = Field(default=0.5, gt=0, le=1)
    """Share of the iteration's pairs that is kept, those with the widest margins; the others are dropped as
    "below_top"."""
    looks_at_all: ClassVar[bool] = True

    def choose(self, scored: Sequence[Scored], seed: int) -> Choice:
        """See :func:`~selfreward.pair_rules.best_worst.best_worst`."""
        return best_worst(scored, self.min_margin)

    def keep(self, margins: Mapping[str, float]) -> Collection[str]:
        """See :func:`widest`."""
        return widest(margins, self.fraction)

    def most_rows(self, prompts: int, responses: int) -> int:
        """The share of all prompts."""
        return _share(prompts, self.fraction)


def widest(margins: Mapping[str, float], fraction: float) -> frozenset[str]:
    """The ids with the widest margins, a share of all that is rounded up; of equal margins the lowest ids."""
    ranked = sorted(margins, key=lambda prompt_id: (-margins[prompt_id], prompt_id))
    return frozenset(ranked[: _share(len(ranked), fraction)])


def _share(count: int, fraction: float) -> int:
    return math.ceil(count * fraction - 1e-9)  # 0.1 * 30 is a little more than 3
