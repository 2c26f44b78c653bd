"""What every model of a run came from, and which settings changed on the way."""

from __future__ import annotations

from typing import Any

from selfreward.query.kept import iteration, kept
from selfreward.records import Frozen
from selfreward.setting_names import changed_settings
from selfreward.storage.iteration import MANIFEST, IterationStore
from selfreward.storage.run import RunStore


class StageRow(Frozen):
    """A stage as its manifest has it."""

    name: str
    finished: bool
    rows: int
    files: int
    seconds: float
    inputs: dict[str, str]
    """Hashes of what it works on, by name."""
    settings: dict[str, Any]
    """What changes its output."""
    counts: dict[str, int]


class Step(Frozen):
    """One iteration: from a model to the next one."""

    iteration: int
    finished: bool
    parent: str
    """The model that it began with: M0 of iteration 0, …"""
    model: str
    """The model that it makes."""
    inherited: bool
    """Whether a fork shares it with its parent run."""
    manifest: str
    """The manifest's path, relative to the run's directory."""
    seal: str
    parent_seal: str | None
    """Of the manifest before."""
    weights: str | None
    """Digest of the files of what was trained, adapter or whole model; None where the model is as it was."""
    root_model: dict[str, Any]
    templates: dict[str, str]
    """Hashes of rubric and prompt template."""
    environment: dict[str, str]
    changes: tuple[str, ...]
    """Settings, words of templates and environment that differ from the iteration before, a line each."""
    stages: tuple[StageRow, ...]


def lineage(run: RunStore) -> list[Step]:
    """M0 -> M1 -> …, in order."""
    steps, before = [], None
    for t in run.iterations():
        it = iteration(run, t)
        steps.append(_step(run, it, before))
        before = it
    return steps


def _step(run: RunStore, it: IterationStore, before: IterationStore | None) -> Step:
    manifest, t = it.manifest, it.manifest.iteration
    trained = it.trained
    return Step(
        iteration=t,
        finished=manifest.finished,
        parent=f"M{t}",
        model=f"M{t + 1}",
        inherited=t <= run.inherited_up_to,
        manifest=f"{it.label}/{MANIFEST}",
        seal=kept(it, "seal", lambda: run.seal_of(t)),
        parent_seal=manifest.parent,
        weights=trained.digest if trained is not None and trained.finished else None,
        root_model=manifest.model,
        templates=manifest.templates,
        environment=manifest.environment,
        changes=() if before is None else kept(it, "changes", lambda: _changes(before, it), before),
        stages=tuple(
            StageRow(
                name=name,
                finished=entry.finished,
                rows=entry.rows,
                files=len(entry.files),
                seconds=entry.seconds,
                inputs=entry.inputs,
                settings=entry.settings,
                counts=dict(sorted(entry.counts.items())),
            )
            for name, entry in manifest.stages.items()
        ),
    )


def _changes(before: IterationStore, it: IterationStore) -> tuple[str, ...]:
    old, new = before.manifest, it.manifest
    found = changed_settings(_without_extent(old.config), _without_extent(new.config))
    for about, was, is_ in (("template", old.templates, new.templates), ("", old.environment, new.environment)):
        for name in sorted(was.keys() | is_.keys()):
            if was.get(name) != is_.get(name):
                values = f"{was.get(name, 'nothing')[:12]} -> {is_.get(name, 'nothing')[:12]}"
                found.append(f"{about} {name}: {values}".strip())
    return tuple(found)


def _without_extent(config: dict[str, Any]) -> dict[str, Any]:
    """How far the run goes and where it stands say nothing of what an iteration does."""
    return {name: value for name, value in config.items() if name not in ("iterations", "name", "runs_dir")}
