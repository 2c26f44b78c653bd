"""overrides.jsonl: what people decided about pairs and scores. Lines are only added; judgments are never rewritten."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from selfreward.errors import StoreError
from selfreward.pair_rules.corrections import Corrections
from selfreward.records import Frozen
from selfreward.storage import lines
from selfreward.storage.durable import value_hash

OVERRIDES = "overrides.jsonl"
_Effect = tuple[tuple[str, ...], list[Any] | None]
"""What a decision is about, and what it comes to; None where it takes one back."""
Action = Literal["exclude", "swap", "score", "withdraw"]


class Sides(Frozen):
    """Which response is chosen, and which is rejected."""

    chosen_id: str
    rejected_id: str


class Override(Frozen):
    """One decision about a pair, or about the score of a response."""

    when: str
    """ISO 8601, UTC."""
    who: str
    reason: str
    iteration: int
    action: Action
    prompt_id: str
    pair_id: str | None = None
    """The pair that it is about, as it was called then; None for a score."""
    response_id: str | None = None
    """The response whose score is set."""
    old: Sides | float | None
    """The pair's sides, or the response's score, as the judge had them."""
    new: Sides | float | None
    """The same from now on; None for a pair that is left out, and where a decision is withdrawn."""

    @property
    def target(self) -> tuple[str, ...]:
        """What it is about: a response, or two of them in whatever order. A later one takes the place of an earlier."""
        if isinstance(self.old, Sides):
            return tuple(sorted((self.old.chosen_id, self.old.rejected_id)))
        return (self.response_id or "",)


def add_override(run_path: Path, override: Override) -> None:
    """Append a decision; it is on the disk when this returns."""
    path = run_path / OVERRIDES
    lines.mend(path)
    lines.append(path, override.model_dump(mode="json"), durable=True)


def read_overrides(run_path: Path, t: int | None = None) -> list[Override]:
    """All decisions about a run or an iteration, oldest first.

    Raises:
        StoreError: a line is damaged. A last one that was cut short was never confirmed, and is passed over.
    """
    path = run_path / OVERRIDES
    try:
        found = path.stat()
    except FileNotFoundError:
        return []
    overrides = _all(path.absolute(), (found.st_ino, found.st_mtime_ns, found.st_size))
    return [override for override in overrides if t is None or override.iteration == t]


@lru_cache(maxsize=16)
def _all(path: Path, signature: tuple[int, ...]) -> tuple[Override, ...]:
    """A page asks several times over; a file that was added to has another signature."""
    found = list(lines.read(path))
    overrides = []
    for number, value in found:
        if value is None and number == len(found) and not path.read_bytes().endswith(b"\n"):
            continue
        overrides.append(_checked(path, number, value))
    return tuple(overrides)


def _checked(path: Path, number: int, value: object) -> Override:
    try:
        return Override.model_validate(value)
    except ValidationError as error:
        raise StoreError(
            f"{path}:{number}: damaged. Pairs depend on it: restore the file from a copy, or take this line out"
        ) from error


def in_force(overrides: Sequence[Override]) -> list[Override]:
    """What holds after all of them: the last one about each target, where that withdraws nothing."""
    last = {override.target: override for override in overrides}
    return [override for override in last.values() if override.action != "withdraw"]


def digest(overrides: Sequence[Override]) -> str | None:
    """Hash of what they come to, whoever said so and when; None where nothing is overridden."""
    return _digest([_effect(override) for override in overrides])


def _effect(override: Override) -> _Effect:
    if override.action == "withdraw":
        return override.target, None
    return override.target, [override.action, *override.target, override.model_dump(mode="json")["new"]]


def _digest(effects: Sequence[_Effect]) -> str | None:
    holding = [effect for effect in dict(effects).values() if effect is not None]
    return value_hash(sorted(holding, key=json.dumps)) if holding else None


def _last_without_effect(effects: Sequence[_Effect]) -> int:
    """After how many decisions nothing was in force for the last time."""
    last, holding = 0, set[tuple[str, ...]]()
    for n, (target, effect) in enumerate(effects, 1):
        if effect is None:
            holding.discard(target)
        else:
            holding.add(target)
        last = last if holding else n
    return last


def pending(overrides: Sequence[Override], by: str | None) -> list[Override]:
    """Those that came after the ones that pairs were built with, which have the digest ``by``."""
    effects = [_effect(override) for override in overrides]
    if by is None:
        return list(overrides[_last_without_effect(effects) :])
    known = (n for n in range(len(overrides), 0, -1) if _digest(effects[:n]) == by)
    return list(overrides[next(known, 0) :])


def used(overrides: Sequence[Override], by: str | None) -> list[Override]:
    """Those that pairs with this digest of overrides were built with."""
    return list(overrides[: len(overrides) - len(pending(overrides, by))])


def corrections(overrides: Sequence[Override]) -> Corrections:
    """What building pairs needs of them."""
    holding = in_force(overrides)
    return Corrections(
        scores={o.response_id: o.new for o in holding if o.response_id and isinstance(o.new, float)},
        excluded=frozenset(frozenset(o.target) for o in holding if o.action == "exclude"),
        chosen={frozenset(o.target): o.new.chosen_id for o in holding if isinstance(o.new, Sides)},
    )
