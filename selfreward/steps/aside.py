"""Stages that are measured beside the loop: nothing depends on them, so they never stand in the way of a run."""

from collections.abc import Sequence
from typing import TypeVar

from selfreward.records import Record
from selfreward.session import Session
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


def made_before(
    s: Session, it: IterationStore, names: Sequence[str], key: StageKey, record: type[R]
) -> Stored[R] | None:
    """The same work in an earlier iteration, under one of these names: it would come out the same again."""
    for t in range(1, it.manifest.iteration):
        earlier = s.store.iteration(t)
        for name in names:
            entry = earlier.stage(name)
            if entry is not None and entry.finished and entry.has(key.version, key.settings, key.inputs):
                return earlier.stored(name, record)
    return None
