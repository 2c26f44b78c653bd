"""From a response's judgments to what a model is taught: one readable score, with the judge's own reasons for it."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from selfreward.reasoning import split_reasoning
from selfreward.records import Judgment
from selfreward.templates import Rubric


@dataclass(frozen=True, slots=True)
class Target:
    """What is taught of a response. ``rationale`` is empty where judging is score-only."""

    score: int
    rationale: str = ""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why nothing of a response's judgments can be taught."""

    reason: str
    detail: str


def mean_score(judgments: Sequence[Judgment]) -> float | None:
    """The mean of what could be read, as a run takes it; None where that is nothing."""
    read = [j.score for j in judgments if j.score is not None]
    return fmean(read) if read else None


def target(
    judgments: Sequence[Judgment], rubric: Rubric, tags: tuple[str, str], spells_special: Callable[[str], bool]
) -> Target | Unusable:
    """The judgment whose score is the nearest to the mean, the first of equals, among those that can be taught.

    A score-only judgment becomes the nearest whole score, halves upwards.
    """
    mean = mean_score(judgments)
    if mean is None:
        return Unusable("unreadable", "none of its judgments gives a score that can be read")
    if any(j.shortened for j in judgments):
        return Unusable("too_long", "the judge saw it without its middle, for it does not fit the judge's context")
    if judgments[0].method == "expected":
        return Target(math.floor(mean + 0.5))
    wrong: Unusable | None = None
    for judgment in sorted(judgments, key=lambda j: (math.inf if j.score is None else abs(j.score - mean), j.sample)):
        found = _written(judgment, rubric, tags, spells_special)
        if isinstance(found, Target):
            return found
        wrong = wrong or found
    assert wrong is not None, "a mean comes of judgments"
    return wrong


def _written(
    judgment: Judgment, rubric: Rubric, tags: tuple[str, str], spells_special: Callable[[str], bool]
) -> Target | Unusable:
    score = judgment.score
    if score is None:
        return Unusable("unreadable", "the judgment gives no score that can be read")
    if score not in rubric.front.scale.scores:
        return Unusable("part_score", f"the judgment gives {score:g}, and EFT teaches whole scores")
    _, own_words = split_reasoning(judgment.raw, tags)
    rationale = rationale_of(own_words, score, rubric)
    if rationale is None:
        return Unusable("no_rationale", "the judgment has no reasons of its own before its score")
    if spells_special(rationale):
        return Unusable("special_tokens", "the judgment spells one of the model's special tokens")
    return Target(int(score), rationale)


def rationale_of(text: str, score: float, rubric: Rubric) -> str | None:
    """The judge's reasons, without the verdict and what comes after it.

    None where there are none, where they give another verdict or repeat the question's own tags, or where reasons and
    score, put together again as the rubric asks, would not be read as this score.
    """
    found = _json_field(text, rubric) if rubric.front.verdict.type == "json" else _before_verdict(text, score, rubric)
    rationale = (found or "").strip()
    if not any(letter.isalnum() for letter in rationale) or rubric.defuse(rationale) != rationale:
        return None
    if rubric.front.verdict.type != "json" and rubric.read(rationale).score is not None:
        return None
    return rationale if rubric.read(rubric.reply(rationale, score)).score == score else None


def _json_field(text: str, rubric: Rubric) -> str | None:
    try:
        found = json.loads(text[text.find("{") : text.rfind("}") + 1], strict=False)
    except ValueError:
        return None
    name = getattr(rubric.front.verdict, "rationale", "")
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else None


def _before_verdict(text: str, score: float, rubric: Rubric) -> str | None:
    """What stands before the first verdict, if that one has the score; the verdict's own label is cut off with it."""
    label = rubric.verdict(rubric.front.scale.max).partition(":")[0].strip("*_ ").casefold()
    lines = text.splitlines()
    for number, line in enumerate(lines):
        first = rubric.read("\n".join(lines[: number + 1])).score
        if first is not None and first != score:
            return None
        if first is not None:
            at = line.casefold().rfind(label)
            before = line[: max(at, 0)].rstrip(" \t*_#>-([{\"'")
            return "\n".join([*lines[:number], before])
    return None
