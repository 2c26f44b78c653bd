"""Pairs for other programs: TRL's conversational columns first, as JSON lines or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO, Literal, get_args

from selfreward.query.database import LOCK, ask
from selfreward.query.index import Index
from selfreward.query.pairs import EVERY_PAIR, PairFilter, PairSort, iteration_with_pairs, ordered_places
from selfreward.records import Frozen, Message
from selfreward.storage.run import RunStore

Format = Literal["jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
_AT_ONCE = 1000
_SQL = """
    SELECT p.rowid AS place, p.id, p.prompt_id, p.chosen_id, p.rejected_id, p.prompt, p.chosen, p.rejected,
           p.chosen_score, p.rejected_score, p.margin
    FROM {pairs} p WHERE p.rowid IN (SELECT unnest($places::BIGINT[]))"""


class Exported(Frozen):
    """One row; ``prompt``, ``chosen`` and ``rejected`` are what TRL's trainers read."""

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
    parts = _parts(run, t, where, sort, ascending)
    return _write_jsonl(file, parts) if form == "jsonl" else _write_parquet(file, parts)


def _parts(
    run: RunStore, t: int, where: PairFilter, sort: PairSort, ascending: bool | None
) -> Iterator[list[Exported]]:
    it = iteration_with_pairs(run, t)
    places = ordered_places(run, t, where, sort, ascending)
    for start in range(0, len(places), _AT_ONCE):
        part = places[start : start + _AT_ONCE]
        with LOCK:
            rows = ask(_SQL.format(pairs=Index(it).stage("pairs")), places=part)
        found = {row.pop("place"): row for row in rows}
        yield [_exported(found[place]) for place in part]


def _exported(row: dict[str, str | float]) -> Exported:
    turns = {name: [{"role": role, "content": row[name]}] for name, role in _ROLES.items()}
    return Exported.model_validate(row | turns)


_ROLES = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}


def _write_jsonl(file: BinaryIO, parts: Iterator[list[Exported]]) -> int:
    rows = 0
    for part in parts:
        lines = (json.dumps(one.model_dump(mode="json"), ensure_ascii=False) for one in part)
        file.write("".join(f"{line}\n" for line in lines).encode(errors="backslashreplace"))
        rows += len(part)
    return rows


def _write_parquet(file: BinaryIO, parts: Iterator[list[Exported]]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from selfreward.storage.tables import schema_of

    schema, rows = schema_of(Exported), 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(pa.Table.from_pylist([one.model_dump() for one in part], schema=schema))
            rows += len(part)
    return rows
