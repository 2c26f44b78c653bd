"""Stages that are measured beside the loop: nothing depends on them, so they never stand in the way of a run."""

from collections.abc import Iterator
from typing import TypeVar

from selfreward.records import Record
from selfreward.session import Session, Stage, Work
from selfreward.stages.shard import Shard
from selfreward.storage.durable import discard
from selfreward.storage.iteration import IterationStore, StageKey, Stored

R = TypeVar("R", bound=Record)


def is_settled(it: IterationStore) -> bool:
    """Whether the iteration's figures stand: what it has measured stays as it is."""
    metrics = it.stage("metrics")
    return it.manifest.finished or (metrics is not None and metrics.finished)


def drop(it: IterationStore, name: str, unless: StageKey | None = None) -> None:
    """Take out what was measured in another way; what is left over depends on nothing else."""
    entry = it.stage(name)
    if entry is not None and (unless is None or not entry.has(unless.version, unless.settings, unless.inputs)):
        it.forget(name)
        discard(it.path / name)


def run_aside(s: Session, it: IterationStore, stage: Stage[R], work: Work[R]) -> Stored[R]:
    """A stage that takes over what was made with its key before, and replaces what was made with another one."""

    def or_take_over(stored: Stored[R]) -> Iterator[Shard[R]]:
        before = None if stored.entry.files else _made_before(s, it, stage)
        if before is None:
            yield from work(stored)
        else:
            yield Shard(list(before.records()), stage.total, before.entry.counts)

    drop(it, stage.name, unless=stage.key)
    return s.run_stage(it, stage, or_take_over)


def _made_before(s: Session, it: IterationStore, stage: Stage[R]) -> Stored[R] | None:
    """The same work in this iteration or an earlier one, under whatever name: it would come out the same again."""
    key = stage.key
    for earlier in (*(s.store.iteration(t) for t in range(1, it.manifest.iteration)), it):
        for name, entry in earlier.manifest.stages.items():
            if entry.finished and entry.has(key.version, key.settings, key.inputs):
                return earlier.stored(name, stage.record)
    return None
