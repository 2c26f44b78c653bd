"""Gates: figures at which a recipe stops a run, or warns. They are those of `selfreward diagnose`, with own limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from selfreward.diagnosis.families import FAMILIES
from selfreward.diagnosis.family import Figures
from selfreward.records import Frozen, NotInKey

After = Literal["responses", "judgments", "pairs"]
"""The part of an iteration after which a figure is known."""
Name = Literal[
    "length_growth", "judge_accuracy_low", "unreadable_share", "tie_share", "top_score_share", "pairs_per_prompt"
]
_GATES: dict[Name, tuple[After, str]] = {
    "length_growth": ("responses", "the responses' mean length over that of the iteration before"),
    "judge_accuracy_low": ("judgments", "the lower end of the 95% interval of the judge's accuracy on held-out pairs"),
    "unreadable_share": ("judgments", "the share of verdicts that cannot be read"),
    "tie_share": ("judgments", "the share of ties between two responses to a prompt"),
    "top_score_share": ("judgments", "the share of verdicts with the highest score"),
    "pairs_per_prompt": ("pairs", "the number of pairs for each prompt"),
}
"""When each is looked at, and what it is called in a sentence."""

_OF_VERDICTS: tuple[Name, ...] = ("unreadable_share", "tie_share", "top_score_share")
"""Looked at in the verdicts on an iteration's own responses."""


class GateLimits(Frozen):
    """A gate trips when its figure reaches the value that is set here; those that are not set are open."""

    length_growth: Annotated[float | None, NotInKey] = Field(default=None, gt=1)
    """Mean length of responses over that of the iteration before, or more."""
    judge_accuracy_low: Annotated[float | None, NotInKey] = Field(default=None, ge=0, le=1)
    """Lower end of the 95% interval of the judge's accuracy on ``evaluation.judge_data``, or less; 0.5 is a coin."""
    unreadable_share: Annotated[float | None, NotInKey] = Field(default=None, gt=0, le=1)
    """Share of verdicts that cannot be read, or more."""
    tie_share: Annotated[float | None, NotInKey] = Field(default=None, gt=0, le=1)
    """Share of two responses to a prompt with equal scores, or more."""
    top_score_share: Annotated[float | None, NotInKey] = Field(default=None, gt=0, le=1)
    """Share of verdicts with the scale's highest score, or more."""
    pairs_per_prompt: Annotated[float | None, NotInKey] = Field(default=None, gt=0)
    """Pairs of an iteration over its prompts, or fewer; looked at before training."""

    def set(self) -> tuple[Name, ...]:
        """Those that are not open."""
        return tuple(name for name in get_args(Name) if getattr(self, name) is not None)

    def problem(self, judge_is_measured: bool, on_a_scale: bool, makes_pairs: bool, judged: bool) -> str | None:
        """What keeps a gate from ever tripping. ``judged``: whether the rule looks at verdicts of responses."""
        of_verdicts = [name for name in self.set() if name in _OF_VERDICTS]
        if of_verdicts and not judged:
            return f"{of_verdicts[0]}: with this pairs.type no response is judged; leave this out"
        if self.pairs_per_prompt is not None and not makes_pairs:
            return "pairs_per_prompt: the rule of pairs.type makes no pairs; leave this out"
        if self.judge_accuracy_low is not None and not judge_is_measured:
            return "judge_accuracy_low: measured on evaluation.judge_data, which is not set; set it, or leave this out"
        if self.top_score_share is not None and not on_a_scale:
            return (
                "top_score_share: scores of this judge.method.type are on no scale with a highest one; leave this out"
            )
        return None

    def wants(self, after: After) -> bool:
        """Whether anything is to be looked at then."""
        return any(_GATES[name][0] == after for name in self.set())


@dataclass(frozen=True, slots=True)
class Tripped:
    """A gate whose figure reached its limit."""

    name: Name
    value: float
    limit: float
    advice: str
    """Settings to try."""

    @property
    def words(self) -> str:
        """What happened, as a clause. What `diagnose` says of its own limits need not be so at the recipe's."""
        return f"{_GATES[self.name][1]} is {self.value:g}, and the recipe's limit is {self.limit:g}"


def tripped(limits: GateLimits, after: After, now: Figures, before: Figures) -> Iterator[Tripped]:
    """Gates of one part of an iteration that trip. A figure that cannot be had, for want of data, trips none."""
    for name in limits.set():
        if _GATES[name][0] != after:
            continue
        check, limit = _CHECKS[name], getattr(limits, name)
        value = check.value(now, before)
        assert check.limit is not None
        if isinstance(value, float | int) and _reaches(value, limit, check.limit.kind):
            yield Tripped(name, value, limit, check.advice)


def _reaches(value: float, limit: float, wanted: str) -> bool:
    return value >= limit if wanted == "at most" else value <= limit


_CHECKS = {check.name: check for family in FAMILIES for check in family.checks if check.name in get_args(Name)}
