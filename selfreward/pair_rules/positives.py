"""Only responses with high scores, to be imitated rather than compared: the other way to use judged responses of Yuan
et al. 2024 (section 2.3, "positive examples only")."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Labels, LabelSettings, Makes, different


class PositivesConfig(LabelSettings):
    """The responses that are good enough, each by itself, for `train.type: sft`."""

    type: Literal["positives"] = "positives"
    makes: ClassVar[Makes] = "positives"

    def label(self, scored: Sequence[Scored]) -> Labels:
        """See :func:`positives`."""
        assert self.min_score is not None  # on_scale() comes first
        return positives(scored, self.min_score)


def positives(scored: Sequence[Scored], min_score: float) -> Labels:
    """Of the same text written twice the lowest index stands for all.

    Reasons: ``low_score``, ``repeated``.
    """
    once = different(scored)
    good = [one for one in once if one.score >= min_score]
    left_out = Counter({"low_score": len(once) - len(good), "repeated": len(scored) - len(once)})
    return [(one, True) for one in good], +left_out
