"""Recompute every hash of a run: files, manifests, their chain, config and events."""

from collections.abc import Iterator
from pathlib import Path

from selfreward.errors import StoreError
from selfreward.storage.durable import TEMPORARY, file_hash
from selfreward.storage.iteration import MANIFEST, IterationStore
from selfreward.storage.lines import damaged_lines
from selfreward.storage.overrides import OVERRIDES
from selfreward.storage.run import CONFIG, ENGINE, EVENTS, LOCK, RUN, TENSORBOARD, RunStore, yaml_seal_holds


def verify(path: Path) -> list[str]:
    """What is wrong with a run, a sentence each; empty where every byte is what was written."""
    try:
        run = RunStore(path)
    except StoreError as error:
        return [str(error)]
    return [*_problems(run)]


def _problems(run: RunStore) -> Iterator[str]:
    yield from _head_problems(run)
    under_way: set[str] = set()
    known = {RUN, CONFIG, EVENTS, LOCK, OVERRIDES}
    for number in run.iterations():
        try:
            iteration = run.iteration(number)
        except (StoreError, ValueError) as error:
            yield str(error)
            continue
        yield from _file_problems(iteration)
        yield from _chain_problems(run, number, iteration)
        known.add(f"{iteration.label}/{MANIFEST}")
        if not iteration.manifest.finished:
            under_way.add(iteration.label)  # what a crash left there is made again
        known |= {f"{iteration.label}/{f.path}" for s in iteration.manifest.stages.values() for f in s.files}
    for file in sorted(run.path.rglob("*")):
        relative = file.relative_to(run.path)
        left_over = relative.parts[0] in {ENGINE, TENSORBOARD, *under_way} or any(
            p.startswith(TEMPORARY) for p in relative.parts
        )
        if file.is_file() and relative.as_posix() not in known and not left_over:
            yield f"{file}: is in no manifest"


def _head_problems(run: RunStore) -> Iterator[str]:
    started = bool(run.iterations())
    if (run.path / CONFIG).exists():
        if not yaml_seal_holds(_text(run.path / CONFIG)):
            yield f"{run.path / CONFIG}: damaged: its content does not match the hash in its last line"
    elif started:
        yield f"{run.path / CONFIG}: missing"
    for name in (EVENTS, OVERRIDES):
        yield from _line_problems(run.path / name)
    a_fork = run.inherited_up_to >= 0  # which begins without events of its own
    if started and not a_fork and not (run.path / EVENTS).exists():
        yield f"{run.path / EVENTS}: missing"


def _line_problems(path: Path) -> Iterator[str]:
    if path.exists():
        for line in damaged_lines(path):
            yield f"{path}:{line}: damaged"


def _file_problems(iteration: IterationStore) -> Iterator[str]:
    for stage in iteration.manifest.stages.values():
        for entry in stage.files:
            file = iteration.path / entry.path
            if not file.is_file():
                yield f"{file}: missing"
            elif file_hash(file) != entry.sha256:
                yield f"{file}: damaged: its hash is not the one in the manifest"


def _chain_problems(run: RunStore, number: int, iteration: IterationStore) -> Iterator[str]:
    manifest = iteration.path / MANIFEST
    if iteration.manifest.iteration != number:
        yield f"{manifest}: belongs to iteration {iteration.manifest.iteration}"
    try:
        parent = run.seal_of(number - 1) if number else None
    except (OSError, ValueError, KeyError):
        yield f"{manifest}: the manifest of iteration {number - 1} before it cannot be read"
        return
    if iteration.manifest.parent != parent:
        yield f"{manifest}: its parent is not the manifest of iteration {number - 1} that is here"


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")
