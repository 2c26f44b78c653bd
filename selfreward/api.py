"""Runs from Python: start one, open one, and read what it made as datasets."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.config import RunConfig
from selfreward.errors import StoreError
from selfreward.records import Judgment, Labelled, PreferencePair, Prompt, Record, Response
from selfreward.storage.catalogue import RUNS_DIR, find_run
from selfreward.storage.iteration import IterationStore
from selfreward.storage.manifest import Manifest
from selfreward.storage.run import RunStore

if TYPE_CHECKING:
    from datasets import Dataset


class Iteration:
    """One iteration of a run: 0 is SFT, t makes M_{t+1}. Only finished stages are given out."""

    def __init__(self, store: IterationStore) -> None:
        self._store = store

    @property
    def number(self) -> int:
        """t."""
        return self._store.manifest.iteration

    @property
    def manifest(self) -> Manifest:
        """Stages with their settings, inputs, files and hashes."""
        return self._store.manifest

    @cached_property
    def prompts(self) -> Dataset:
        """New prompts, with the columns of :class:`~selfreward.records.Prompt`."""
        return self._dataset("prompts", Prompt)

    @cached_property
    def responses(self) -> Dataset:
        """All candidates, with the columns of :class:`~selfreward.records.Response`."""
        return self._dataset("responses", Response)

    @cached_property
    def judgments(self) -> Dataset:
        """All verdicts, with the columns of :class:`~selfreward.records.Judgment`."""
        return self._dataset("judgments", Judgment)

    @cached_property
    def labelled(self) -> Dataset:
        """Responses by themselves; ``prompt``, ``completion`` and ``label`` are TRL's conversational columns."""
        return self._dataset("labelled", Labelled)

    @cached_property
    def pairs(self) -> Dataset:
        """Preference pairs; ``prompt``, ``chosen`` and ``rejected`` are TRL's conversational columns."""
        return self._dataset("pairs", PreferencePair)

    @cached_property
    def judgment_pairs(self) -> Dataset:
        """Preference pairs of judgments, of a recipe with ``meta_judge``; the same columns."""
        return self._dataset("judgment_pairs", PreferencePair)

    @property
    def weights(self) -> Path | None:
        """Directory of M_{t+1}: a PEFT adapter, or a whole model where all weights are trained (``lora: null``); None
        where no training was asked for."""
        if self._store.trained is None and self._store.manifest.finished:
            return None
        self._finished(self._store.weights.name)
        return self._store.weights

    @property
    def metrics(self) -> dict[str, Any]:
        """metrics.json."""
        self._finished("metrics")
        found: dict[str, Any] = json.loads((self._store.path / "metrics.json").read_text(encoding="utf-8"))
        return found

    def _finished(self, stage: str) -> None:
        entry = self._store.stage(stage)
        if entry is None or not entry.finished:
            has = ", ".join(name for name, e in self._store.manifest.stages.items() if e.finished) or "nothing"
            raise StoreError(f"{self._store.path}: has no finished {stage}; finished is: {has}")

    def _dataset(self, stage: str, record: type[Record]) -> Dataset:
        import pyarrow as pa
        import pyarrow.parquet as pq
        from datasets import Dataset

        from selfreward.storage.tables import schema_of

        self._finished(stage)
        schema = schema_of(record)
        tables = [pq.read_table(path, schema=schema) for path in self._store.stored(stage, record).paths()]
        return Dataset(pa.concat_tables(tables) if tables else schema.empty_table())


class Run:
    """A run on disk."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    @property
    def path(self) -> Path:
        """The run's directory."""
        return self._store.path

    @property
    def config(self) -> RunConfig:
        """What it was last started with."""
        return self._store.config()

    @property
    def iterations(self) -> list[int]:
        """Numbers of the iterations that were begun; 0 is SFT."""
        return self._store.iterations()

    def iteration(self, t: int) -> Iteration:
        """An iteration that was begun.

        Raises:
            StoreError: it was not.
        """
        return Iteration(self._store.iteration(t))


def open_run(path: str | os.PathLike[str]) -> Run:
    """A run by its directory, or by its name in ``runs/``.

    Raises:
        StoreError: there is none.
    """
    return Run(RunStore(find_run(os.fspath(path), Path(RUNS_DIR))))


def run(config: RunConfig) -> Run:
    """Do the run that a config describes, or what is left of it; a config without a name makes ``run``.

    Raises:
        SelfRewardError: something that the user can mend; what was finished is kept.
    """
    from selfreward import loop

    return Run(loop.run(config if config.name else config.model_copy(update={"name": "run"})))
