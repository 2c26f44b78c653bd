"""Held-out ranked responses to measure a judge on: the rows of whole prompts that can be put to it."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from selfreward.errors import SeedError
from selfreward.records import Ranked
from selfreward.seeding.agreement import preferred
from selfreward.seeding.draws import draw
from selfreward.seeding.ranked import by_prompt, has_own_shape, ranked_of, read_ranked
from selfreward.seeding.rows import RowError, json_object


@dataclass(frozen=True)
class HeldOut:
    """What is judged, and what is not."""

    rows: list[Ranked]
    """In the file's order, a prompt's responses together."""
    left_out: Counter[str]
    """Rows by reason."""


def read_held_out(path: Path, limit: int | None, seed: int) -> HeldOut:
    """Rows of prompts of one turn of which people prefer one response to another.

    The file is one of ranked rows, such as ``seeds build-eft`` holds out, or in any format that ``seeds import --as
    ranked`` takes. With ``limit``, so many prompts are drawn by their words: a larger limit holds what a smaller held.

    Raises:
        SeedError: the file cannot be read or has bad rows, or nothing in it can be judged.
    """
    rows, left_out = _read(path)
    groups = []
    for group in by_prompt(rows).values():
        if group[0].prompt is None:
            left_out["not_one_turn"] += len(group)
        elif not any(True for _ in preferred(group)):
            left_out["no_preference"] += len(group)
        else:
            groups.append(group)
    if not groups:
        reasons = ", ".join(f"{reason} {count}" for reason, count in left_out.items()) or "no rows"
        raise SeedError(
            f"{path}: nothing to measure a judge on ({reasons}); expected prompts of one turn with responses of which "
            "people prefer one to another"
        )
    kept = groups if limit is None else _drawn(groups, limit, seed)
    if over := sum(map(len, groups)) - sum(map(len, kept)):
        left_out["over_limit"] = over
    return HeldOut([row for group in kept for row in group], left_out)


def _read(path: Path) -> tuple[list[Ranked], Counter[str]]:
    if not path.is_file():
        raise SeedError(f"{path}: {'is no file' if path.exists() else 'no such file'}; expected ranked responses")
    if _is_own(path):
        return read_ranked(path), Counter()
    from selfreward.seeding.importing import Conversion, Options
    from selfreward.seeding.recognising import recognise
    from selfreward.seeding.sources import open_source

    source = open_source(str(path))
    conversion = Conversion(source, recognise(source, "ranked").form, Options("ranked"), lambda _: None)
    try:
        return ranked_of(conversion), Counter(conversion.tally.left_out)
    except RowError as error:
        raise SeedError(f"{path}: {error}; `selfreward seeds import {path} --as ranked` names every bad row") from error


def _is_own(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return has_own_shape(json_object(next((line for line in file if line.strip()), "{}")))
    except (OSError, UnicodeDecodeError, RowError):
        return False


def _drawn(groups: list[list[Ranked]], limit: int, seed: int) -> list[list[Ranked]]:
    def place(group: list[Ranked]) -> tuple[float, str]:
        return draw(seed, "held_out", group[0].prompt or "", group[0].prompt_id), group[0].prompt_id

    kept = {group[0].prompt_id for group in sorted(groups, key=place)[:limit]}
    return [group for group in groups if group[0].prompt_id in kept]
