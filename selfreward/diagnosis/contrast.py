"""Chosen and rejected converge: nothing is left to learn from their difference."""

from array import array
from typing import Any

from selfreward.diagnosis import thresholds as at
from selfreward.diagnosis.family import Check, Family, Figures, at_least, at_most, objective
from selfreward.diagnosis.numbers import ratio, spread, within
from selfreward.records import PreferencePair
from selfreward.rouge import rouge_l

_PAIRS = ("pairs", at.MIN_PAIRS)
_FURTHER_APART = "a higher responses.temperature or responses.n, a higher pairs.min_margin, or pairs.type: top_margin"


_FROM_LN_2 = ({"sigmoid"}, {"robust"}, {"aot"}, {"aot_unpaired"}, {"sigmoid_norm"})
"""What begins at ln 2, where policy and reference say the same."""


def _last_loss(now: Figures, before: Figures) -> float | None:
    losses = set(objective(now).get("losses", ["sigmoid"]))
    return within(now, "preference_training", "loss", "last") if losses in _FROM_LN_2 else None


class Contrast(Family):
    """Score margins, and how alike the two sides are."""

    failure = "chosen and rejected converge"
    checks = (
        Check("margin", "score margin, mean", lambda now, _: within(now, "margin", "mean"), needs="no judged pairs"),
        Check(
            "margin_against_before",
            "margin against before",
            lambda now, before: ratio(within(now, "margin", "mean"), within(before, "margin", "mean")),
            at_least(at.MARGIN_FALL),
            "The scores of chosen and rejected are much closer than in the iteration before.",
            _FURTHER_APART,
            "no iteration before it with pairs",
            _PAIRS,
            trend=True,
        ),
        Check(
            "pair_similarity",
            "alike (ROUGE-L), mean",
            lambda now, _: within(now, "pair_similarity", "mean"),
            at_most(at.SIMILARITY),
            "Chosen and rejected are nearly the same text.",
            _FURTHER_APART,
            "no pairs",
            _PAIRS,
        ),
        Check(
            "last_loss",
            "loss, last quarter",
            _last_loss,
            at_most(at.UNLEARNED_LOSS),
            "The loss stays where DPO begins (ln 2 = 0.693): policy and reference still say the same.",
            "a higher train.learning_rate or more train.epochs, or pairs that are further apart",
            "no training.jsonl of DPO with a loss that begins at ln 2",
            _PAIRS,
        ),
    )

    def __init__(self) -> None:
        self._margins, self._similar = array("d"), array("d")
        self._retokenised = 0

    def pair(self, pair: PreferencePair) -> None:
        """How far its sides are apart."""
        if pair.margin is not None:
            self._margins.append(pair.margin)
        self._similar.append(rouge_l(pair.chosen_token_ids, pair.rejected_token_ids))
        self._retokenised += pair.retokenised

    def figures(self) -> dict[str, Any]:
        """Nothing where there are no pairs."""
        if not self._similar:
            return {}
        return {
            **({"margin": spread(self._margins)} if self._margins else {}),
            "pair_similarity": spread(self._similar),
            "retokenised": self._retokenised,
        }
