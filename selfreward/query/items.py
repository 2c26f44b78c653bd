"""Any record of a run by its id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from selfreward.errors import StoreError
from selfreward.query.database import select
from selfreward.query.tables import part_stages
from selfreward.records import (
    EFTSeed,
    Frozen,
    IFTSeed,
    Judgment,
    Labelled,
    PreferencePair,
    Prompt,
    Record,
    Response,
)
from selfreward.storage.iteration import Stored
from selfreward.storage.run import RunStore

R = TypeVar("R", bound=Record)
Kind = Literal["pair", "labelled", "prompt", "response", "judgment", "seed"]
_Table = tuple[str, Kind, type[Record]]

_TABLES: tuple[_Table, ...] = (
    ("pairs", "pair", PreferencePair),
    ("judgment_pairs", "pair", PreferencePair),
    ("prompts", "prompt", Prompt),
    ("responses", "response", Response),
    ("judgments", "judgment", Judgment),
    ("labelled", "labelled", Labelled),
    ("initial_responses", "response", Response),
    ("initial_judgments", "judgment", Judgment),
    ("previous_judgments", "judgment", Judgment),
    ("judgment_comparisons", "judgment", Judgment),
    ("seeds_ift", "seed", IFTSeed),
    ("seeds_eft", "seed", EFTSeed),
)
_MOST_NAMED = 5


class Found(Frozen):
    """Where an item is."""

    kind: Kind
    id: str
    iteration: int
    stage: str


def find_item(run: RunStore, item: str) -> Found:
    """The one item of a run whose id is, or begins with, what the user typed.

    Raises:
        StoreError: there is none, or there are several; the message names the closest.
    """
    matches: list[Found] = []
    nearest: list[tuple[int, str]] = []
    for t in run.iterations():
        it = run.iteration(t)
        parts: list[_Table] = [(name, "judgment", Judgment) for name in part_stages(it)]
        for stage, kind, record in (*_TABLES, *parts):
            if it.stage(stage) is None:
                continue
            files = it.stored(stage, record).paths()
            begin = (
                "SELECT id FROM read_parquet($files) WHERE starts_with(id, $item) ORDER BY length(id), id LIMIT $most"
            )
            found = [row["id"] for row in select(begin, files, item=item, most=_MOST_NAMED + 1)] if item else []
            if item in found:
                return Found(kind=kind, id=item, iteration=t, stage=stage)
            matches += [Found(kind=kind, id=id, iteration=t, stage=stage) for id in found]
            if not matches:
                near = "SELECT levenshtein(id, $item) AS steps, id FROM read_parquet($files) ORDER BY steps, id LIMIT 3"
                nearest += [(row["steps"], row["id"]) for row in select(near, files, item=item)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(m.id for m in matches[:_MOST_NAMED]) + (", …" if len(matches) > _MOST_NAMED else "")
        raise StoreError(f"{item}: more than one item begins so: {shown}")
    close = [id for steps, id in sorted(nearest)[:3] if steps <= max(3, len(item) // 2)]
    hint = f"closest: {', '.join(close)}" if close else "`selfreward pairs` lists the pairs of an iteration"
    raise StoreError(f"{item}: no such item in {run.path}; {hint}")


def fetch(stored: Stored[R], where: str, files: Sequence[Path] | None = None, **parameters: Any) -> list[R]:
    """The records of a stage for which a condition (a constant of the code) holds, in order; of some files only."""
    sql = f"SELECT * FROM read_parquet($files, union_by_name = true) WHERE {where}"
    rows = select(sql, stored.paths() if files is None else files, **parameters)
    return [stored.record.model_validate(row) for row in rows]
