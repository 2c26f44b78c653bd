"""The judge is fooled or decays: it cannot be read, people disagree with it, or it contradicts the one before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from selfreward.diagnosis import thresholds as at
from selfreward.diagnosis.family import Check, Family, Figures, at_least, at_most
from selfreward.diagnosis.numbers import rounded, share, within
from selfreward.evaluation.opinion import Opinion, opinion_of
from selfreward.records import Judgment

_NEEDS = "held-out rankings, which evaluation.judge_data names"
_BETTER_JUDGE = "a fixed judge.model, another judge.method or judge.rubric, or more EFT seeds"


def _accuracy(figures: Figures, part: str = "whole", who: str = "judge", edge: str = "value") -> float | None:
    return within(figures, "judge_quality", part, who, "pairwise_accuracy", edge)


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else rounded(one - other)


class Judge(Family):
    """Whether it can be read; how good it is where that was measured."""

    failure = "judge fooled or decaying"
    checks = (
        Check(
            "unreadable_share",
            "verdicts unreadable",
            lambda now, _: within(now, "unreadable_share"),
            at_most(at.UNREADABLE),
            "Many verdicts have no score, and responses without enough of them are in no pair.",
            "more judge.method.max_tokens or retries, EFT seeds, or judge.method.type: expected",
            "no verdicts",
            ("asked", at.MIN_RESPONSES),
        ),
        Check("judge_accuracy", "held-out pairs right", lambda now, _: _accuracy(now), needs=_NEEDS),
        Check(
            "judge_accuracy_low",
            "its 95% interval from",
            lambda now, _: _accuracy(now, edge="low"),
            at_least(at.ACCURACY),
            "On held-out pairs the judge may be no better than a coin.",
            _BETTER_JUDGE,
            _NEEDS,
        ),
        Check(
            "judge_over_length",
            "right beyond length only",
            lambda now, _: _minus(_accuracy(now), _accuracy(now, who="length_only")),
            at_least(at.OVER_LENGTH),
            "A judge that only counts characters agrees with people more often.",
            _BETTER_JUDGE,
            _NEEDS,
        ),
        Check(
            "judge_accuracy_balanced",
            "right, length-balanced",
            lambda now, _: _accuracy(now, part="length_balanced"),
            at_least(at.ACCURACY),
            "Where length tells nothing, the judge is wrong more often than right.",
            _BETTER_JUDGE,
            _NEEDS,
        ),
        Check(
            "judge_accuracy_change",
            "right, minus before",
            lambda now, before: _minus(_accuracy(now), _accuracy(before)),
            at_least(at.ACCURACY_FALL),
            "The judge agrees with people less often than the one before: training spoils it.",
            "EFT seeds in sft, a lower train.learning_rate, or a fixed judge.model",
            f"{_NEEDS}, in both iterations",
            trend=True,
        ),
        Check(
            "judge_agreement",
            "same order as judge before",
            lambda now, _: within(now, "judge_agreement"),
            at_least(at.AGREEMENT),
            "On the same held-out pairs this judge and the one before often disagree, so one of them is unreliable.",
            "a lower train.learning_rate or fewer train.epochs, a fixed judge.model",
            f"{_NEEDS}, in both iterations",
        ),
        Check(
            "judge_agreement_with_first",
            "same order as first judge",
            lambda now, _: within(now, "judge_agreement_with_first"),
            at_least(at.AGREEMENT),
            "The judge has moved far from the first one that was measured; its accuracy says whether that is good.",
            _BETTER_JUDGE,
            f"{_NEEDS}, in an earlier iteration",
        ),
    )

    def __init__(self) -> None:
        self._judged = self._compared = self._unread_judged = self._unread_compared = 0

    def judgments(self, judgments: Sequence[Judgment]) -> None:
        """Count what could be read."""
        for judgment in judgments:
            unread = judgment.score is None
            if len(judgment.response_ids) > 1:
                self._compared += 1
                self._unread_compared += unread
            else:
                self._judged += 1
                self._unread_judged += unread

    def figures(self) -> dict[str, Any]:
        """Where responses were compared by two, what could not be read is a share of the comparisons."""
        found: dict[str, Any] = {"judgments": self._judged}
        asked = self._compared or self._judged
        if asked:
            unread = self._unread_compared if self._compared else self._unread_judged
            found |= {"asked": asked, "unreadable_share": share(unread, asked)}
        return found


def agreement(now: Iterable[Judgment], before: Iterable[Judgment]) -> float | None:
    """Of the held-out pairs in which neither of two judges sees a tie, the share that both put in the same order.

    Judgments are joined by the ids of prompts and responses; None where there is no such pair.
    """
    one, other = _leads(now), _leads(before)
    both = [one[pair] > 0 for pair in one if other.get(pair)], [other[pair] > 0 for pair in one if other.get(pair)]
    return share(sum(a == b for a, b in zip(*both, strict=True)), len(both[0]))


def _leads(judgments: Iterable[Judgment]) -> dict[tuple[str, str], float]:
    """How far the first is ahead, of every two of a prompt's responses that the judge does not tie."""
    by_prompt: defaultdict[str, list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        by_prompt[judgment.prompt_id].append(judgment)
    found = {}
    for own in by_prompt.values():
        opinion: Opinion = opinion_of(own)
        for pair in combinations(sorted({one for j in own for one in j.response_ids}), 2):
            if lead := opinion.lead(*pair):
                found[pair] = lead
    return found
