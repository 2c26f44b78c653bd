"""A run's directory: its head, its config, its log, its lock, and its iterations."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.config import RunConfig, make_config
from selfreward.config_errors import RENAMED
from selfreward.errors import StoreError
from selfreward.storage.durable import TEMPORARY, read_sealed, storing, sweep, write_sealed, write_text
from selfreward.storage.events import EventLog, now
from selfreward.storage.iteration import MANIFEST, IterationStore
from selfreward.storage.manifest import Manifest

if TYPE_CHECKING:
    from filelock import BaseFileLock

CONFIG = "config.resolved.yaml"
RUN = "run.json"
EVENTS = "events.jsonl"
LOCK = ".lock"
ENGINE = "engine"
"""Directory of what engines print; no part of what a run made."""
TENSORBOARD = "tensorboard"
"""Directory of what TensorBoard shows; no part of what a run made either."""
TRAINING = f"{TEMPORARY}training"
"""Directory in an iteration of a training under way; its checkpoints outlive a crash."""
_SEAL = "# sha256: "


class RunStore:
    """A run's directory."""

    def __init__(self, path: Path) -> None:
        if not (path / RUN).is_file():
            raise StoreError(f"{path}: no run here ({RUN} is missing); `selfreward ls` lists the runs")
        if os.fsencode(path.absolute()).decode(errors="replace") != str(path.absolute()):
            raise StoreError(f"{path}: its name is not UTF-8; rename the directory")
        self.path = path
        self.head = read_sealed(path / RUN)

    @classmethod
    def create(cls, path: Path, forked: Mapping[str, Any] | None = None) -> RunStore:
        """The run at ``path``, made if it is not there.

        Raises:
            StoreError: the directory holds something else.
        """
        if not (path / RUN).exists():
            strangers = [p.name for p in path.iterdir() if p.name != LOCK] if path.is_dir() else []
            if any(not name.startswith(TEMPORARY) for name in strangers):
                raise StoreError(f"{path}: exists and is not a run; choose another --name or remove it")
            write_sealed(path / RUN, {"name": path.name, "created": now(), "forked": dict(forked or {}) or None})
        return cls(path)

    @property
    def inherited_up_to(self) -> int:
        """The last iteration that a fork shares with its parent run; -1 for a run that is no fork."""
        forked = self.head["forked"]
        return int(forked["at"]) if forked else -1

    def events(self) -> EventLog:
        """The log to write to."""
        return EventLog(self.path / EVENTS)

    def sweep(self) -> None:
        """Remove what a crash left unfinished, and nothing goes on from."""
        sweep(self.path, spare=TRAINING)

    def has_config(self) -> bool:
        """Whether the run was ever started."""
        return (self.path / CONFIG).exists()

    def save_config(self, config: RunConfig) -> None:
        """Write ``config.resolved.yaml``, sealed by its last line, unless it says that already."""
        text = sealed_yaml(config)
        path = self.path / CONFIG
        if not path.exists() or path.read_bytes() != text.encode():
            write_text(path, text)

    def config(self) -> RunConfig:
        """The config that the run was last started with.

        Raises:
            StoreError: it cannot be read, or is of an earlier version.
        """
        import yaml

        path = self.path / CONFIG
        try:
            data = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise StoreError(f"{path}: cannot be read: {error}") from error
        if not isinstance(data, dict):
            raise StoreError(f"{path}: expected settings, found {type(data).__name__}; bring the file back from a copy")
        if old := RENAMED.keys() & data.keys():
            raise StoreError(
                f"{path}: the run was made by an earlier version of selfreward, which had `{min(old)}` for "
                f"`{RENAMED[min(old)]}`; go on with that version (iter-000/manifest.json names it), or start anew with "
                "`selfreward run RECIPE --name NEW`"
            )
        return make_config(data, {}, str(path))

    def iterations(self) -> list[int]:
        """Numbers of the iterations that were begun."""
        named = (p.parent.name.removeprefix("iter-") for p in self.path.glob(f"iter-*/{MANIFEST}"))
        return sorted(int(number) for number in named if number.isdecimal())  # a copy, iter-001.bak, is none

    def iteration(self, number: int) -> IterationStore:
        """An iteration that was begun.

        Raises:
            StoreError: it was not, or its manifest is damaged.
        """
        path = self.path / f"iter-{number:03d}"
        if not (path / MANIFEST).exists():
            begun = ", ".join(map(str, self.iterations())) or "none"
            raise StoreError(f"{self.path}: no iteration {number}; begun so far: {begun}")
        manifest = Manifest.model_validate(read_sealed(path / MANIFEST))
        return IterationStore(path, manifest, inherited=number <= self.inherited_up_to)

    def seal_of(self, number: int) -> str:
        """The seal of an iteration's manifest: what its child is chained to."""
        import json

        text = (self.path / f"iter-{number:03d}" / MANIFEST).read_text(encoding="utf-8")
        return str(json.loads(text)["seal"])

    def begin_iteration(self, number: int, about: Callable[[], dict[str, Any]]) -> IterationStore:
        """An iteration to work on. ``about`` gives a new manifest's fields on config, model, templates, environment."""
        path = self.path / f"iter-{number:03d}"
        if (path / MANIFEST).exists():
            return self.iteration(number)
        parent = self.seal_of(number - 1) if number else None
        iteration = IterationStore(path, Manifest(iteration=number, parent=parent, **about()), inherited=False)
        iteration.save()
        return iteration


@contextmanager
def lock_run(path: Path) -> Iterator[None]:
    """Hold the lock of a run's directory, which is made if it is not there; it ends with the process."""
    from filelock import FileLock, Timeout

    with storing(path):
        path.mkdir(parents=True, exist_ok=True)
        lock: BaseFileLock = FileLock(path / LOCK)
        try:
            lock.acquire(timeout=0.5)  # `status` holds it for a moment, to see whether it is free
        except Timeout as error:
            raise StoreError(
                f"{path}: another process is working on this run; watch it with "
                f"`selfreward status {path} --watch`, or start a run of its own with --name NEW"
            ) from error
    try:
        yield
    finally:
        lock.release()


def sealed_yaml(config: RunConfig) -> str:
    """The config as YAML, with a hash of itself in the last line."""
    text = config.to_yaml()
    return f"{text}{_SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n"


def yaml_seal_holds(text: str) -> bool:
    """Whether sealed YAML is what was written."""
    body, found, _ = text.rpartition(_SEAL)
    return bool(found) and text == f"{body}{_SEAL}{hashlib.sha256(body.encode()).hexdigest()}\n"
