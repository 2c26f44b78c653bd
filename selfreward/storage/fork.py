"""A new run that shares another's finished iterations: nothing is copied where the file system can link."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfreward.config import RunConfig, make_config
from selfreward.errors import ConfigError, StoreError
from selfreward.records import Frozen, key_settings
from selfreward.setting_names import changed_settings
from selfreward.storage.durable import TEMPORARY, storing, sync
from selfreward.storage.iteration import MANIFEST, IterationStore
from selfreward.storage.overrides import OVERRIDES
from selfreward.storage.run import RunStore
from selfreward.training.job import ADAPTER, MODEL

_SETTLED = ("model", "seeds", "lora", "sft")
"""Settings that iteration 0 has used up; a fork always shares iteration 0."""
_AFTER_PAIRS = (
    "pairs",
    "labelled",
    "judgment_pairs",
    ADAPTER,
    MODEL,
    "compared_prompts",
    "compared_before",
    "compared_after",
    "comparison",
    "metrics",
)
"""What depends on pairs, or on the model that was trained on them, and the pairs themselves."""
_OF_CANDIDATES = "candidate"
"""How names of stages begin that depend on them too: adapters to choose from, and what each came to."""


def fork(parent: RunStore, at: int, config: RunConfig, *, judged: bool = False) -> RunStore:
    """A run with the parent's iterations 0 … ``at``, to go on from there as ``config`` says.

    It appears whole or not at all, and from then on neither run depends on the other. What people decided about pairs
    goes along. ``judged`` takes over what the iteration after ``at`` has from before its pairs were built.

    Raises:
        StoreError: one of the iterations is not finished, the one after them is not judged, or the new run's directory
            exists.
    """
    shared = [_finished(parent, t) for t in range(at + 1)]
    begun = _up_to_pairs(parent, at + 1) if judged else None
    target = config.run_dir
    if target.exists():
        raise StoreError(f"{target}: exists; choose another --name")
    # The run's own name is written into it, so it is made under that name in a directory that nobody lists.
    workshop = target.parent / f"{TEMPORARY}fork-{os.getpid()}"
    made = workshop / target.name
    with storing(target):
        made.mkdir(parents=True)
        try:
            RunStore.create(made, {"run": parent.head["name"], "at": at}).save_config(config)
            for iteration in shared:
                _share(iteration, made)
            if begun is not None:
                _link(begun, made, _files(begun))
                IterationStore(made / begun.label, begun.manifest, inherited=False).save()
            if (parent.path / OVERRIDES).exists():
                shutil.copyfile(parent.path / OVERRIDES, made / OVERRIDES)
                sync(made / OVERRIDES)
            sync(made)
            made.rename(target)  # fails where somebody else was faster
            sync(target.parent)
        finally:
            shutil.rmtree(workshop)
    return RunStore(target)


def fork_config(parent: RunStore, at: int, changes: Mapping[str, Any], name: str) -> RunConfig:
    """The parent's config with changes on top, under a new name beside the parent.

    Raises:
        ConfigError: a change is impossible, or would do nothing.
    """
    old = parent.config()
    source = f"fork of {parent.path}"
    plain = {**old.model_dump(mode="json"), "runs_dir": str(parent.path.parent)}
    new = make_config(plain, {**changes, "name": name}, source)
    used_up = [line for section in _SETTLED for line in _differences(old, new, section)]
    if used_up:
        raise ConfigError(
            f"{source}: iteration 0 is shared and has used these settings already; start a new run for them:\n  "
            + "\n  ".join(used_up)
        )
    if new.iterations <= at:  # a fork that has nothing to do is a slip
        new = new.model_copy(update={"iterations": at + 1})
    return new


def _differences(old: RunConfig, new: RunConfig, section: str) -> list[str]:
    before, after = _settings(getattr(old, section)), _settings(getattr(new, section))
    if before is None or after is None:
        return changed_settings({section: before}, {section: after})
    return changed_settings(before, after, f"{section}.")


def _settings(section: Frozen | None) -> dict[str, Any] | None:
    return None if section is None else key_settings(section)


def _finished(parent: RunStore, t: int) -> IterationStore:
    iteration = parent.iteration(t)
    if not iteration.manifest.finished:
        raise StoreError(f"{iteration.path}: iteration {t} is not finished; a fork shares finished iterations only")
    return iteration


def _up_to_pairs(parent: RunStore, t: int) -> IterationStore:
    """An iteration as it was before its pairs were built: what was asked, answered and judged."""
    iteration = parent.iteration(t)
    judgments = iteration.stage("judgments")
    if iteration.stage("pairs") is None and (judgments is None or not judgments.finished):
        raise StoreError(
            f"{iteration.path}: is not judged to the end, so there is nothing to build pairs of; go on with "
            f"`selfreward run {parent.path}`: it uses what is decided by then"
        )
    kept = {
        name: entry
        for name, entry in iteration.manifest.stages.items()
        if name not in _AFTER_PAIRS and not name.startswith(_OF_CANDIDATES)
    }
    manifest = iteration.manifest.model_copy(update={"stages": kept, "finished": False})
    return IterationStore(iteration.path, manifest, inherited=False)


def _share(iteration: IterationStore, made: Path) -> None:
    _link(iteration, made, [*_files(iteration), MANIFEST])


def _files(iteration: IterationStore) -> list[str]:
    return [entry.path for stage in iteration.manifest.stages.values() for entry in stage.files]


def _link(iteration: IterationStore, made: Path, names: Sequence[str]) -> None:
    for name in names:
        source, target = iteration.path / name, made / iteration.label / name
        if not source.is_file():
            raise StoreError(f"{source}: missing; `selfreward verify {iteration.path.parent}` says what else is")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, target)
            sync(target)
    for directory in {path for path in (made / iteration.label).rglob("*") if path.is_dir()}:
        sync(directory)
    sync(made / iteration.label)
