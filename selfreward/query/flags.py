"""Flags of an iteration's pairs: of a page at once, of all where a filter asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfreward.diagnosis.pair_flags import PairFlag, pair_flags
from selfreward.query.database import ask, change
from selfreward.query.index import Index

_AT_ONCE = 1000
_ASKED = ("chosen", "rejected", "chosen_tokens", "rejected_tokens", "margin", "retokenised")


def flags_of(row: Mapping[str, Any]) -> tuple[PairFlag, ...]:
    """The flags of one pair with its texts."""
    return pair_flags(**{name: row[name] for name in _ASKED})


def flags_table(index: Index) -> str:
    """Name of a table with every pair's place and flags, a row for each flag. The first time reads every pair."""
    pairs = index.stage("pairs")
    table = index.beside("flags", "pairs", "place BIGINT, flag VARCHAR")
    for rows in _unseen(pairs, table):
        found = [(row["place"], flag) for row in rows for flag in flags_of(row) or (None,)]
        columns = {"places": [place for place, _ in found], "flags": [flag for _, flag in found]}
        change(f"INSERT INTO {table} SELECT unnest($places::BIGINT[]), unnest($flags::VARCHAR[])", **columns)
    return table


def _unseen(pairs: str, table: str) -> Iterator[list[dict[str, Any]]]:
    """Pairs that the table has no row of, some at a time."""
    sql = f"""
        SELECT rowid AS place, {", ".join(_ASKED)} FROM {pairs}
        WHERE rowid > (SELECT coalesce(max(place), -1) FROM {table}) ORDER BY rowid LIMIT $most"""
    while rows := ask(sql, most=_AT_ONCE):
        yield rows
