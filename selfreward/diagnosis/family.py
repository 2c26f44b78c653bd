"""What every family of failures has: it counts records in passing, and says which of its figures deserve a look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from selfreward.records import Frozen, Judgment, PreferencePair, Prompt, Response

Figures = Mapping[str, Any]
"""An iteration's figures as metrics.json holds them; empty for an iteration that does not exist."""
Flag = Literal["ok", "look", "no data", "shown"]
Value = float | str | None
_NOTHING_BEFORE: Figures = {}


@dataclass(frozen=True, slots=True)
class Limit:
    """What a figure may be."""

    kind: Literal["at most", "at least"]
    value: float

    def holds(self, value: float) -> bool:
        """Whether it is kept."""
        return value <= self.value if self.kind == "at most" else value >= self.value


def at_most(value: float) -> Limit:
    """A figure that should not be higher."""
    return Limit("at most", value)


def at_least(value: float) -> Limit:
    """A figure that should not be lower."""
    return Limit("at least", value)


@dataclass(frozen=True, slots=True)
class Check:
    """A figure as `selfreward diagnose` shows it."""

    name: str
    title: str
    value: Callable[[Figures, Figures], Value]
    """From the iteration's figures and those of the one before."""
    limit: Limit | None = None
    """None for what is shown and never flagged."""
    means: str = ""
    """What it says when the limit is broken."""
    advice: str = ""
    """What to try then: settings."""
    needs: str = ""
    """Where the figure comes from, said when it is not there."""
    enough: tuple[str, int] | None = None
    """A count among the figures, and how high it has to be before anything is flagged."""
    trend: bool = False
    """Whether it is itself a comparison with the iteration before."""


class Finding(Frozen):
    """One figure of one iteration, and what to think of it."""

    failure: str
    name: str
    title: str
    value: float | str | None
    before: float | str | None
    """The same of the iteration before; None for comparisons with it, or where there is none."""
    limit: str | None
    """Such as "at most 0.65"."""
    flag: Flag
    """``look``: beyond the limit; ``no data``: missing, or taken of too little; ``shown``: without a limit."""
    means: str = ""
    """In a sentence, what the flag says."""
    advice: str = ""
    """What to try."""


class Family:
    """One way of going wrong. An object counts one iteration's records; each kind is handed over in input order."""

    failure: ClassVar[str]
    checks: ClassVar[tuple[Check, ...]]

    def prompt(self, prompt: Prompt) -> None:
        """See one prompt."""

    def response(self, response: Response) -> None:
        """See one response; one prompt's stand together."""

    def judgments(self, judgments: Sequence[Judgment]) -> None:
        """See all judgments of one prompt."""

    def pair(self, pair: PreferencePair) -> None:
        """See one pair."""

    def figures(self) -> dict[str, Any]:
        """What was counted, for metrics.json."""
        return {}


def objective(now: Figures) -> Mapping[str, Any]:
    """What trained; empty for DPO's first form, and where nothing did."""
    found = now.get("objective")
    return found if isinstance(found, Mapping) else {}


def look(failure: str, check: Check, now: Figures, before: Figures) -> Finding:
    """One figure held against its limit."""
    value = check.value(now, before)
    earlier = check.value(before, _NOTHING_BEFORE) if before and not check.trend else None
    flag, means = _judged(check, value, now)
    return Finding(
        failure=failure,
        name=check.name,
        title=check.title,
        value=value,
        before=earlier,
        limit=None if check.limit is None else f"{check.limit.kind} {check.limit.value:g}",
        flag=flag,
        means=means,
        advice=check.advice if flag == "look" else "",
    )


def _judged(check: Check, value: Value, now: Figures) -> tuple[Flag, str]:
    if value is None:
        return "no data", check.needs
    if check.limit is None or isinstance(value, str):
        return "shown", ""
    if check.enough is not None:
        name, least = check.enough
        count = now.get(name) or 0
        if count < least:
            return "no data", f"{count} {name.replace('_', ' ')} are too few to say; {least} are asked for"
    return ("ok", "") if check.limit.holds(value) else ("look", check.means)
