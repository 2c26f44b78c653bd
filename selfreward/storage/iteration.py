"""One iteration on disk: its stages and their shards. What the manifest names is whole; nothing else counts.

A shard is written, synced and renamed before the manifest names it, and a stage is finished when its entry says so.
Finished work is never redone and never mixed with other settings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from selfreward.config import RunConfig
from selfreward.errors import StoreError
from selfreward.records import Record
from selfreward.setting_names import changed_settings, with_later_settings
from selfreward.stages.shard import Shard
from selfreward.storage.durable import discard, file_hash, move_into_place, write_file, write_sealed
from selfreward.storage.events import now
from selfreward.storage.manifest import FileEntry, Manifest, StageEntry
from selfreward.storage.tables import read_table, write_table
from selfreward.training.job import ADAPTER, CANDIDATES, MODEL

R = TypeVar("R", bound=Record)
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class StageKey:
    """What a stage's output depends on: work that has another key is other work."""

    version: int
    """Of the stage's code, raised by hand when it would make something else."""
    settings: Mapping[str, Any]
    """Under their names in the config."""
    inputs: Mapping[str, str]
    """Hashes of what it works on, by name."""


@dataclass(frozen=True)
class Stored(Generic[R]):
    """Records of a stage as they stand on disk, read a shard at a time."""

    directory: Path
    entry: StageEntry
    record: type[R]

    def shards(self) -> Iterator[list[R]]:
        """The records of each shard, in input order."""
        for file in self.entry.files:
            check_file(self.directory, file)
            yield read_table(self.directory / file.path, self.record)

    def records(self) -> Iterator[R]:
        """All records, in input order."""
        for shard in self.shards():
            yield from shard

    def paths(self) -> list[Path]:
        """The Parquet files that hold any records, in order."""
        return [self.directory / file.path for file in self.entry.files if file.rows]


class IterationStore:
    """One iteration's directory and its manifest."""

    def __init__(self, path: Path, manifest: Manifest, *, inherited: bool) -> None:
        self.path = path
        self.manifest = manifest
        self._inherited = inherited
        """A fork takes what its parent run finished as it is, whatever its own settings say."""

    @property
    def label(self) -> str:
        """iter-001, as in paths."""
        return self.path.name

    def save(self) -> None:
        """Write the manifest."""
        write_sealed(self.path / MANIFEST, self.manifest.model_dump(mode="json"))

    def stage(self, name: str) -> StageEntry | None:
        """A stage's entry, if it was begun."""
        return self.manifest.stages.get(name)

    @property
    def trained(self) -> StageEntry | None:
        """The entry of its training, whichever it makes, if that was begun."""
        return self.stage(ADAPTER) or self.stage(MODEL)

    @property
    def weights(self) -> Path:
        """Where its training puts what it made: an adapter over the root model, or a whole model."""
        return self.path / (ADAPTER if self.stage(MODEL) is None else MODEL)

    @property
    def taken_over(self) -> bool:
        """Whether a fork took the whole iteration over as it is."""
        return self._inherited and self.manifest.finished

    def inherited_without(self, name: str) -> bool:
        """Whether a fork took the iteration over as it is, without this stage."""
        return self._inherited and self.stage(name) is None

    def stored(self, name: str, record: type[R]) -> Stored[R]:
        """A stage's records so far.

        Raises:
            StoreError: the stage was never begun.
        """
        entry = self.stage(name)
        if entry is None:
            raise StoreError(f"{self.path}: has no {name} yet")
        return Stored(self.path, entry, record)

    def begin(self, name: str, key: StageKey) -> StageEntry:
        """The stage's entry, new or to be continued.

        Raises:
            StoreError: it was begun with other settings or on other inputs.
        """
        entry = self.stage(name)
        if self.manifest.finished and (entry is None or not entry.finished):
            raise StoreError(
                f"{self.path}: is finished, and was made without {name}, which the settings now ask for. Go back to "
                "the old settings, or start a new run with --name NEW"
            )
        if entry is None or (not entry.finished and not entry.rows):  # nothing is made yet, so nothing can be mixed
            entry = StageEntry(version=key.version, settings=dict(key.settings), inputs=dict(key.inputs), started=now())
            self._put(name, entry)
            discard(self.path / name)  # empty shards of an earlier try
        elif not self._inherited:
            self._refuse_changes(name, entry, key)
        return entry

    def begin_training(self, makes: str, key: StageKey) -> StageEntry:
        """The same of the stage that trains, whose name is what it makes: an adapter, candidates for one, or a model.

        Raises:
            StoreError: it was begun with other settings or on other inputs, or has made another of the three.
        """
        for other in (ADAPTER, MODEL, CANDIDATES):
            entry = self.stage(other)
            if other == makes or entry is None:
                continue
            if other == CANDIDATES and entry.finished:
                self._refuse_changes(other, entry, key)
            if entry.finished:
                made = "all weights" if other == MODEL else "an adapter"
                raise StoreError(
                    f"{self.path}: trained {made}, and lora now says otherwise. Go back to the old settings, or start "
                    "a new run with --name NEW"
                )
            self.forget(other)  # it was stopped before there was anything
        return self.begin(makes, key)

    def add_shard(self, name: str, shard: Shard[R], record: type[R], *, seconds: float) -> None:
        """Store a shard, then name it in the manifest."""
        entry = self.manifest.stages[name]
        relative = f"{name}/{len(entry.files):05d}.parquet"
        write_file(self.path / relative, lambda path: write_table(path, shard.records, record))
        file = FileEntry(
            path=relative,
            sha256=file_hash(self.path / relative),
            rows=len(shard.records),
            inputs=shard.inputs,
            counts=dict(sorted(shard.counts.items())),
        )
        self._put(name, entry, files=(*entry.files, file), seconds=round(entry.seconds + seconds, 1))

    def finish(self, name: str) -> None:
        """Say that a stage is whole."""
        self._put(name, self.manifest.stages[name], finished=True)

    def summarise(self, name: str, summary: Mapping[str, Any]) -> None:
        """Keep what a finished stage says of itself."""
        self._put(name, self.manifest.stages[name], summary=dict(summary))

    def finish_with_files(
        self,
        name: str,
        made: Mapping[str, Path],
        *,
        counts: Mapping[str, int],
        seconds: float,
        summary: Mapping[str, Any],
        timings: Collection[str] = (),
    ) -> None:
        """Put files and directories in place under their names (name -> temporary path), and finish the stage.

        ``timings`` are those that differ between equal runs.
        """
        for target, temporary in made.items():
            move_into_place(temporary, self.path / target)
        paths = [p for target in made for p in _files(self.path / target)]
        names = [p.relative_to(self.path).as_posix() for p in paths]
        files = [FileEntry(path=name, sha256=file_hash(self.path / name), timings=name in timings) for name in names]
        files[0] = files[0].model_copy(update={"counts": dict(counts)})
        # In one step: files that the manifest names without the word that they are whole would be made again.
        whole = {"files": tuple(files), "seconds": round(seconds, 1), "summary": dict(summary), "finished": True}
        self._put(name, self.manifest.stages[name], **whole)

    def forget(self, name: str) -> None:
        """Take out a stage that was begun and is no longer wanted."""
        stages = {other: entry for other, entry in self.manifest.stages.items() if other != name}
        self.manifest = self.manifest.model_copy(update={"stages": stages})
        self.save()

    def close(self) -> None:
        """Say that the iteration is whole."""
        self.manifest = self.manifest.model_copy(update={"finished": True})
        self.save()

    def _put(self, name: str, entry: StageEntry, **changes: Any) -> None:
        stages = {**self.manifest.stages, name: entry.model_copy(update=changes)}
        self.manifest = self.manifest.model_copy(update={"stages": stages})
        self.save()

    def _refuse_changes(self, name: str, entry: StageEntry, key: StageKey) -> None:
        made_with = with_later_settings(entry.settings, key.settings, [RunConfig])
        changes = changed_settings(made_with, key.settings)
        changes += [
            f"{what}: its content has changed" for what in key.inputs if entry.inputs.get(what) != key.inputs[what]
        ]
        if entry.version != key.version and not entry.finished:  # what is whole is not mixed with anything
            changes.append(f"this version of selfreward does the stage differently ({entry.version} -> {key.version})")
        if changes:
            at = self.manifest.iteration - 1
            fork = (
                f", or keep the iterations up to {at} and go on from there with "
                f"`selfreward fork {self.path.parent} --at {at} --name NEW --set …`"
            )
            raise StoreError(
                f"{self.path}: {name} was made with other settings:\n  "
                + "\n  ".join(changes)
                + "\nFinished work is never mixed with new settings. Either go back to the old ones, or start a new "
                "run with --name NEW" + (fork if at >= 0 else "")
            )


def check_file(directory: Path, file: FileEntry) -> None:
    """Raises StoreError where a finished file is not what was written: nothing may be built on it."""
    path = directory / file.path
    if not path.is_file() or file_hash(path) != file.sha256:
        raise StoreError(
            f"{path}: missing or damaged; `selfreward verify {directory.parent}` lists all such files. Restore it from "
            "a copy, or start a new run with --name NEW"
        )


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
