"""Flags of an iteration's pairs: as they were stored when it ended, else of a page at once and of all where asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from selfreward.diagnosis.pair_flags import PAIR_FLAGS, PairFlag, pair_flags
from selfreward.query.database import ask, change
from selfreward.query.index import Index
from selfreward.steps.metrics import flags_file
from selfreward.storage.iteration import IterationStore

_AT_ONCE = 1000
_ASKED = ("chosen", "rejected", "chosen_tokens", "rejected_tokens", "margin", "retokenised")
_STORED = """
    INSERT INTO {table} SELECT p.rowid, unnest(if(len(f.flags) = 0, [NULL], f.flags))
    FROM {pairs} p JOIN read_parquet($files) f ON f.id = p.id ORDER BY p.rowid"""


def flags_of_rows(it: IterationStore, index: Index, rows: Sequence[Mapping[str, Any]]) -> dict[int, list[PairFlag]]:
    """The flags of some pairs, by their places. Where none are stored they are taken of the texts, here and now."""
    if flags_file(it) is None:
        return {row["place"]: list(_taken(*(row[name] for name in _ASKED))) for row in rows}
    sql = f"SELECT place, flag FROM {flags_table(it, index)} WHERE list_contains($places, place) AND flag IS NOT NULL"
    found: dict[int, list[PairFlag]] = {row["place"]: [] for row in rows}
    for row in ask(sql, places=list(found)):
        found[row["place"]].append(row["flag"])
    return {place: sorted(flags, key=PAIR_FLAGS.index) for place, flags in found.items()}


def flags_table(it: IterationStore, index: Index) -> str:
    """Name of a table with every pair's place and flags, a row for each flag; a pair without one has a row too.

    Where none are stored, every pair is read the first time.
    """
    pairs = index.stage("pairs")
    table, stored = index.beside("flags", "pairs", "place BIGINT, flag VARCHAR"), flags_file(it)
    if stored is not None and not ask(f"SELECT 1 FROM {table} LIMIT 1"):
        change(_STORED.format(table=table, pairs=pairs), [stored])
    for rows in _unseen(pairs, table):
        found = [(row["place"], flag) for row in rows for flag in _taken(*(row[n] for n in _ASKED)) or (None,)]
        columns = {"places": [place for place, _ in found], "flags": [flag for _, flag in found]}
        change(f"INSERT INTO {table} SELECT unnest($places::BIGINT[]), unnest($flags::VARCHAR[])", **columns)
    return table


@lru_cache(maxsize=1024)
def _taken(*of: Any) -> tuple[PairFlag, ...]:
    chosen, rejected, *figures = of
    return pair_flags(chosen, rejected, **dict(zip(_ASKED[2:], figures, strict=True)))


def _unseen(pairs: str, table: str) -> Iterator[list[dict[str, Any]]]:
    """Pairs that the table has no row of, some at a time."""
    sql = f"""
        SELECT rowid AS place, {", ".join(_ASKED)} FROM {pairs}
        WHERE rowid > (SELECT coalesce(max(place), -1) FROM {table}) ORDER BY rowid LIMIT $most"""
    while rows := ask(sql, most=_AT_ONCE):
        yield rows
