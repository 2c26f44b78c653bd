"""Narrow tables of an iteration, in memory: made when first asked, and a stage's new files are added as they come.

Tables follow the manifest: where a file has gone or changed, they are made anew.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from selfreward.query.database import LOCK, ask, change
from selfreward.query.tables import DERIVED, MADE_OF, STAGES, part_stages, table_of
from selfreward.storage.iteration import IterationStore

MOST_HELD = 8
"""Iterations whose tables are kept; the one that was longest not asked about goes first."""


@dataclass
class _Held:
    number: int
    """Part of the tables' names."""
    files: dict[str, list[str]] = field(default_factory=dict)
    """By stage the hashes of the files that are in its table."""
    derived: dict[str, list[list[str]]] = field(default_factory=dict)
    """By name the same of the tables that it was made of."""
    beside: dict[str, list[str]] = field(default_factory=dict)
    """By name the same of the stage that Python has filled it from."""

    def name(self, table: str) -> str:
        return f"{table}_{self.number}"

    def drop(self) -> None:
        for table in (*self.files, *self.derived, *self.beside):
            change(f"DROP TABLE IF EXISTS {self.name(table)}")


_held: OrderedDict[Path, _Held] = OrderedDict()
_numbers = count()


class Index:
    """The tables of one iteration. Hold :data:`~selfreward.query.database.LOCK` while their names are in use."""

    def __init__(self, it: IterationStore) -> None:
        self._it = it
        path = it.path.resolve()
        with LOCK:
            self._held = _held.setdefault(path, _Held(next(_numbers)))
            _held.move_to_end(path)
            while len(_held) > MOST_HELD:
                _held.popitem(last=False)[1].drop()

    def stage(self, stage: str) -> str:
        """Name of the table of a stage, brought up to date; it is empty where the stage was not begun."""
        entry = self._it.stage(stage)
        files = [file for file in entry.files if file.rows] if entry is not None else []
        hashes, table, kept = [file.sha256 for file in files], self._held.name(stage), table_of(stage)
        taken = self._held.files.get(stage)
        if taken is None or taken != hashes[: len(taken)]:
            self._held.files.pop(stage, None)
            change(f"CREATE OR REPLACE TABLE {table} ({kept.columns})")
            taken = []
        new = [self._it.path / file.path for file in files[len(taken) :]]
        if new:
            change(f"INSERT INTO {table} {kept.rows}", new)
        self._held.files[stage] = hashes
        return table

    def derived(self, name: str) -> str:
        """Name of a table that is made of others, brought up to date."""
        sources = {source: self._source(source) for source in MADE_OF[name]}
        made_of = [self._held.files.get(stage, []) for stage in _stages_under(name)]
        table = self._held.name(name)
        if self._held.derived.get(name) != made_of:
            self._held.derived.pop(name, None)
            change(f"CREATE OR REPLACE TABLE {table} AS {DERIVED[name].format(**sources)}")
            self._held.derived[name] = made_of
        return table

    def beside(self, name: str, stage: str, columns: str) -> str:
        """Name of a table that the caller fills from a stage's table, row by row; empty where that was made anew."""
        table, hashes = self._held.name(name), self._held.files[stage]
        filled = self._held.beside.get(name)
        if filled is None or filled != hashes[: len(filled)]:
            change(f"CREATE OR REPLACE TABLE {table} ({columns})")
        self._held.beside[name] = hashes
        return table

    def state(self) -> list[object]:
        """What tells these tables, as they are now, from all others."""
        return [self._held.number, sorted(self._held.files.items())]

    def _source(self, name: str) -> str:
        return self.derived(name) if name in DERIVED else self.stage(name)


def _stages_under(name: str) -> list[str]:
    """The stages that a table is made of, through whatever stands between."""
    if name not in DERIVED:
        return [name]
    return [stage for source in MADE_OF[name] for stage in _stages_under(source)]


def files_of(it: IterationStore, prompt_id: str) -> dict[str, list[Path]]:
    """By stage the files that hold something of a prompt; only stages that were begun."""
    stages = [stage for stage in (*STAGES, *part_stages(it)) if it.stage(stage) is not None]
    with LOCK:
        index = Index(it)
        each = (
            f"SELECT DISTINCT '{stage}' AS stage, file FROM {index.stage(stage)} WHERE {_key(stage)} = $id"
            for stage in stages
        )
        rows = ask(" UNION ALL ".join(each) + " ORDER BY file", id=prompt_id) if stages else []
    return {stage: [Path(row["file"]) for row in rows if row["stage"] == stage] for stage in stages}


def _key(stage: str) -> str:
    return "id" if stage == "prompts" else "prompt_id"
