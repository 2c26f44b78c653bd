"""The judge saturates: it gives nearly everything the same score, so that little can be learned of its verdicts."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

from selfreward.diagnosis import thresholds as at
from selfreward.diagnosis.family import Check, Family, Figures, at_least, at_most
from selfreward.diagnosis.numbers import entropy, ratio, rounded, share, spread, within
from selfreward.records import Judgment, PreferencePair, Prompt

_NEXT_TO_NOTHING = 1e-9
"""Means of the same scores may differ by less than this in floating point."""


def _histogram(now: Figures, before: Figures) -> str | None:
    found = now.get("score_histogram")
    return found and ", ".join(f"{score}: {count}" for score, count in found.items())


def _on_a_scale(name: str, now: Figures) -> float | None:
    """Strengths of a judge that compares are logits on no scale: nothing to saturate."""
    return None if "comparisons" in now else within(now, name)


_JUDGED = ("judgments", at.MIN_RESPONSES)
_SHARPER = "another judge.rubric (faults_5pt_json takes points off), judge.method.type: expected or pairwise"


class Scores(Family):
    """Scores of single responses; ``top`` is the scale's highest, where it is known."""

    failure = "judge saturates"
    checks = (
        Check("score_histogram", "verdicts a whole score", _histogram, needs="no readable verdicts on a scale"),
        Check(
            "score_entropy",
            "entropy of verdicts, bits",
            lambda now, _: _on_a_scale("score_entropy", now),
            at_least(at.SCORE_ENTROPY),
            "Nearly all responses get the same whole score.",
            _SHARPER,
            "no readable verdicts on a scale",
            _JUDGED,
        ),
        Check(
            "entropy_against_before",
            "entropy against before",
            lambda now, before: ratio(_on_a_scale("score_entropy", now), _on_a_scale("score_entropy", before)),
            at_least(at.ENTROPY_FALL),
            "Scores differ much less than in the iteration before.",
            _SHARPER,
            "no iteration before it with scores",
            _JUDGED,
            trend=True,
        ),
        Check(
            "top_score_share",
            "highest score",
            lambda now, _: _on_a_scale("top_score_share", now),
            at_most(at.TOP_SHARE),
            "Half of all verdicts or more are the highest score, so the best responses cannot be told apart.",
            _SHARPER,
            "no scale, or its rubric is not at hand any more",
            _JUDGED,
        ),
        Check(
            "tie_share",
            "candidates tied",
            lambda now, _: within(now, "tie_share"),
            at_most(at.TIES),
            "Most candidates of a prompt get equal scores, and ties give no pair.",
            "more judge.method.samples, or judge.method.type: expected",
            "no prompt has two scores",
            _JUDGED,
        ),
        Check(
            "pairs_per_prompt",
            "pairs a prompt",
            lambda now, _: within(now, "pairs_per_prompt"),
            at_least(at.PAIRS_PER_PROMPT),
            "Few prompts give a pair; `counts` in metrics.json has the reasons.",
            "more responses.n, a lower pairs.min_margin, or a higher responses.temperature",
            "no pairs",
            ("prompts", at.MIN_PAIRS),
        ),
        Check(
            "yield_against_before",
            "pairs against before",
            lambda now, before: ratio(within(now, "pairs_per_prompt"), within(before, "pairs_per_prompt")),
            at_least(at.YIELD_FALL),
            "Far fewer prompts give a pair than in the iteration before.",
            "more responses.n, or a lower pairs.min_margin",
            "no iteration before it with pairs",
            ("prompts", at.MIN_PAIRS),
            trend=True,
        ),
    )

    def __init__(self, top: float | None = None) -> None:
        self._top = top
        self._scores = array("d")
        self._aspects: defaultdict[str, list[float]] = defaultdict(list)
        self._tied = self._compared = self._pairs = self._prompts = 0
        self._scaled = True

    def prompt(self, prompt: Prompt) -> None:
        """One more that could give a pair."""
        self._prompts += 1

    def judgments(self, judgments: Sequence[Judgment]) -> None:
        """One prompt's: its scores, and which candidates are tied."""
        means: defaultdict[str, list[float]] = defaultdict(list)
        for judgment in judgments:
            if len(judgment.response_ids) > 1:
                self._top = None  # what single responses have then are strengths, which no scale bounds
            elif judgment.score is not None:
                self._scaled = self._scaled and judgment.rubric != ""  # rewards have no scale, and no whole scores
                self._scores.append(judgment.score)
                means[judgment.response_ids[0]].append(judgment.score)
                for aspect in judgment.aspects or ():
                    self._aspects[aspect.name].append(aspect.score)
        for one, other in combinations(map(fmean, means.values()), 2):
            self._compared += 1
            self._tied += abs(one - other) < _NEXT_TO_NOTHING

    def pair(self, pair: PreferencePair) -> None:
        """One more."""
        self._pairs += 1

    def figures(self) -> dict[str, Any]:
        """Scores with their histogram by nearest whole score, ties, yield."""
        found: dict[str, Any] = {"prompts": self._prompts, "pairs": self._pairs}
        if self._scores:
            found["score"] = spread(self._scores)
        if self._scores and self._scaled:
            histogram = Counter(math.floor(score + 0.5) for score in self._scores)
            found["score_histogram"] = {str(score): histogram[score] for score in sorted(histogram)}
            found["score_entropy"] = entropy(histogram.values())
            if self._top is not None:
                highest = sum(score >= self._top - 0.5 for score in self._scores)
                found["top_score_share"] = share(highest, len(self._scores))
        if self._compared:
            found["tie_share"] = share(self._tied, self._compared)
        if self._aspects:
            found["aspects"] = {name: rounded(fmean(values)) for name, values in self._aspects.items()}
        if self._pairs:
            found["pairs_per_prompt"] = share(self._pairs, self._prompts)
        return found
