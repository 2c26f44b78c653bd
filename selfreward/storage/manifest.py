"""What an iteration's manifest says: every stage with its key, its files and their hashes, chained to the parent's."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from selfreward.records import Frozen
from selfreward.storage.durable import value_hash


class FileEntry(Frozen):
    """A finished file, relative to the iteration's directory."""

    path: str
    sha256: str
    rows: int | None = None
    """Records in it, for a shard."""
    inputs: int = 0
    """How many of the stage's inputs went into it, for a shard."""
    timings: bool = False
    """Whether it holds times, which differ between equal runs."""
    counts: dict[str, int] = Field(default_factory=dict)


class StageEntry(Frozen):
    """A stage, under way or finished."""

    version: int
    settings: dict[str, Any]
    """All settings that change its output."""
    inputs: dict[str, str]
    """Hashes of what it works on, by name."""
    started: str
    """ISO 8601, UTC."""
    seconds: float = 0.0
    """Time spent on it, in all sessions."""
    finished: bool = False
    files: tuple[FileEntry, ...] = ()
    summary: dict[str, Any] = Field(default_factory=dict)
    """What the stage says of itself, such as the first and last loss."""

    def has(self, version: int, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> bool:
        """Whether this is its key."""
        return (self.version, self.settings, self.inputs) == (version, dict(settings), dict(inputs))

    @property
    def digest(self) -> str:
        """Hash of what the stage made, for the keys of the stages after it; no key holds a time."""
        return value_hash([[f.path, f.sha256] for f in self.files if not f.timings])

    @property
    def counts(self) -> Counter[str]:
        """Counts of all its files together."""
        total: Counter[str] = Counter()
        for file in self.files:
            total.update(file.counts)
        return total

    @property
    def rows(self) -> int:
        """Records in all its files."""
        return sum(file.rows or 0 for file in self.files)

    @property
    def inputs_done(self) -> int:
        """How many of its inputs are worked off."""
        return sum(file.inputs for file in self.files)


class Manifest(Frozen):
    """One iteration. ``parent`` is the seal of the iteration before; None for iter-000."""

    iteration: int
    parent: str | None
    config: dict[str, Any]
    """The resolved config that the iteration was begun with."""
    model: dict[str, Any]
    """Root model: name, revision, fingerprint."""
    templates: dict[str, str]
    """Hashes of the prompt template and the rubric."""
    environment: dict[str, str]
    """Versions, platform, GPU, git revision."""
    stages: dict[str, StageEntry] = Field(default_factory=dict)
    finished: bool = False
