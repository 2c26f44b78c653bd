"""Pairs and labelled responses for other programs: TRL's conversational columns first, as JSON lines or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Literal, TypeVar, get_args

from selfreward.query.database import LOCK, ask
from selfreward.query.index import Index
from selfreward.query.labelled import (
    EVERY_LABEL,
    LabelledFilter,
    LabelledSort,
    iteration_with_labels,
    labelled_at,
    labelled_places,
)
from selfreward.query.pairs import EVERY_PAIR, PairFilter, PairSort, iteration_with_pairs, ordered_places
from selfreward.records import Frozen, Message
from selfreward.storage.run import RunStore

Format = Literal["jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
R = TypeVar("R", bound=Frozen)
_AT_ONCE = 1000
_SQL = """
    SELECT p.rowid AS place, p.id, p.prompt_id, p.chosen_id, p.rejected_id, p.prompt, p.chosen, p.rejected,
           p.chosen_score, p.rejected_score, p.margin
    FROM {pairs} p WHERE p.rowid IN (SELECT unnest($places::BIGINT[]))"""


class ExportedPair(Frozen):
    """One pair; ``prompt``, ``chosen`` and ``rejected`` are what TRL's trainers read."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    id: str
    prompt_id: str
    chosen_id: str
    rejected_id: str
    chosen_score: float | None
    rejected_score: float | None
    margin: float | None


class ExportedLabel(Frozen):
    """One labelled response; ``prompt``, ``completion`` and ``label`` are what TRL's trainers read."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    label: bool
    id: str
    prompt_id: str
    response_id: str
    score: float


def export_pairs(
    run: RunStore,
    t: int,
    file: BinaryIO,
    form: Format,
    where: PairFilter = EVERY_PAIR,
    sort: PairSort = "order",
    ascending: bool | None = None,
) -> int:
    """Write the pairs that a filter lets through, in order; gives how many.

    Raises:
        StoreError: the iteration has no pairs, or a file is missing or damaged.
    """
    it, places = iteration_with_pairs(run, t), ordered_places(run, t, where, sort, ascending)

    def rows_at(part: list[int]) -> list[ExportedPair]:
        rows = ask(_SQL.format(pairs=Index(it).stage("pairs")), places=part)
        found = {row.pop("place"): row for row in rows}
        return [_pair(found[place]) for place in part]

    return _write(file, form, ExportedPair, places, rows_at)


def export_labelled(
    run: RunStore,
    t: int,
    file: BinaryIO,
    form: Format,
    where: LabelledFilter = EVERY_LABEL,
    sort: LabelledSort = "order",
    ascending: bool | None = None,
) -> int:
    """The same of labelled responses.

    Raises:
        StoreError: the iteration has none, or a file is missing or damaged.
    """
    it, places = iteration_with_labels(run, t), labelled_places(run, t, where, sort, ascending)
    return _write(file, form, ExportedLabel, places, lambda part: [_label(row) for row in labelled_at(it, part)])


_ROLES: Mapping[str, Literal["user", "assistant"]] = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}


def _pair(row: Mapping[str, Any]) -> ExportedPair:
    return ExportedPair(**{**row, **{name: _turn(role, row[name]) for name, role in _ROLES.items()}})


def _label(row: Mapping[str, Any]) -> ExportedLabel:
    same = {name: row[name] for name in ("id", "prompt_id", "response_id", "score")}
    prompt, completion = _turn("user", row["prompt"]), _turn("assistant", row["response"])
    return ExportedLabel(prompt=prompt, completion=completion, label=row["wanted"], **same)


def _turn(role: Literal["user", "assistant"], text: str) -> tuple[Message, ...]:
    return (Message(role=role, content=text),)


def _write(
    file: BinaryIO, form: Format, kind: type[R], places: list[int], rows_at: Callable[[list[int]], list[R]]
) -> int:
    """Rows at some places, a part after another; gives how many."""
    write = _write_jsonl if form == "jsonl" else _write_parquet
    parts = _parts(places, rows_at)
    write(file, kind, parts)
    return len(places)


def _parts(places: list[int], rows_at: Callable[[list[int]], list[R]]) -> Iterator[list[R]]:
    for start in range(0, len(places), _AT_ONCE):
        with LOCK:
            rows = rows_at(places[start : start + _AT_ONCE])
        yield rows


def _write_jsonl(file: BinaryIO, kind: type[Frozen], parts: Iterator[Sequence[Frozen]]) -> None:
    for part in parts:
        lines = (json.dumps(one.model_dump(mode="json"), ensure_ascii=False) for one in part)
        file.write("".join(f"{line}\n" for line in lines).encode(errors="backslashreplace"))


def _write_parquet(file: BinaryIO, kind: type[Frozen], parts: Iterator[Sequence[Frozen]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from selfreward.storage.tables import schema_of

    schema = schema_of(kind)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(pa.Table.from_pylist([one.model_dump() for one in part], schema=schema))
