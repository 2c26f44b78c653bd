"""Work outside a run that takes long: its records are stored as they come, and the same command goes on after them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from selfreward.errors import StoreError
from selfreward.progress import Reporter
from selfreward.records import Record
from selfreward.session import Stage, Work
from selfreward.storage.durable import read_sealed, storing, value_hash
from selfreward.storage.iteration import MANIFEST, IterationStore, StageKey
from selfreward.storage.manifest import Manifest

R = TypeVar("R", bound=Record)


def kept(work: Path, stage: Stage[R], title: str, reporter: Reporter, do: Work[R]) -> list[R]:
    """The records of a stage whose inputs are prompts: what ``work`` has of an earlier try is not made again.

    Raises:
        StoreError: another process is at it, or it cannot be written.
    """
    with _locked(work):
        it = _store(work, stage.key)
        entry = it.begin(stage.name, stage.key)
        if not entry.finished:
            if entry.inputs_done:
                reporter.say(f"{title}: {entry.inputs_done} of {stage.total} are done already; going on after them")
            with reporter.stage(title, stage.total, entry.inputs_done) as advance:
                clock = time.monotonic()
                for shard in do(it.stored(stage.name, stage.record)):
                    now = time.monotonic()
                    it.add_shard(stage.name, shard, stage.record, seconds=now - clock)
                    clock = now
                    advance(it.manifest.stages[stage.name].inputs_done)
            it.finish(stage.name)
        return list(it.stored(stage.name, stage.record).records())


def _store(work: Path, key: StageKey) -> IterationStore:
    """Of a directory named by the key, so that records of other settings are never mixed in."""
    path = work / value_hash([key.version, dict(key.settings), dict(key.inputs)])[:16]
    if (path / MANIFEST).exists():
        return IterationStore(path, Manifest.model_validate(read_sealed(path / MANIFEST)), inherited=False)
    nothing = Manifest(iteration=0, parent=None, config={}, model={}, templates={}, environment={})
    return IterationStore(path, nothing, inherited=False)


@contextmanager
def _locked(work: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    with storing(work):
        work.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(work / ".lock", timeout=0.5):
            yield
    except Timeout as error:
        raise StoreError(f"{work}: another process does the same work; wait for it to end") from error
