"""Every response by itself, wanted or not by its score: what unpaired objectives learn from (KTO, Ethayarajh et al.
2024, arXiv 2402.01306, section 4)."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Labels, LabelSettings, Makes, different


class ThresholdConfig(LabelSettings):
    """All responses, wanted from a score on and unwanted below it, for `train.type: kto`."""

    type: Literal["threshold"] = "threshold"
    makes: ClassVar[Makes] = "labelled"

    def label(self, scored: Sequence[Scored]) -> Labels:
        """See :func:`by_threshold`."""
        assert self.min_score is not None  # on_scale() comes first
        return by_threshold(scored, self.min_score)


def by_threshold(scored: Sequence[Scored], min_score: float) -> Labels:
    """Of the same text written twice the lowest index stands for all, else it could be wanted and unwanted.

    Reasons: ``repeated``.
    """
    once = different(scored)
    return [(one, one.score >= min_score) for one in once], +Counter({"repeated": len(scored) - len(once)})
