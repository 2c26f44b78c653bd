"""Runs and recipes by what a user types, and how runs are going."""

import difflib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from selfreward.config import RunConfig, load_config, make_config
from selfreward.errors import ConfigError, SelfRewardError, StoreError
from selfreward.evaluation.bootstrap import Figure
from selfreward.evaluation.comparison import Comparison
from selfreward.records import Frozen
from selfreward.resources import find, names
from selfreward.setting_names import parse_overrides
from selfreward.storage.events import read_events
from selfreward.storage.iteration import IterationStore
from selfreward.storage.manifest import StageEntry
from selfreward.storage.run import EVENTS, LOCK, RUN, RunStore
from selfreward.training.cost import TrainingCost

OpenIteration = Callable[[RunStore, int], IterationStore]
RUNS_DIR = "runs"
"""Where runs are, unless the user says otherwise."""


class StageStatus(Frozen):
    """How far a stage is; ``done`` and ``total`` count its inputs (steps of training as a share of 1)."""

    iteration: int
    stage: str
    done: float
    total: float | None
    rows: int
    seconds: float
    finished: bool
    judge_accuracy: Figure | None = None
    """Of a judge measured on held-out rankings: the share of pairs that it puts in people's order."""
    comparison: Comparison | None = None
    """Of the iteration's new model against the one before, on held-out prompts."""
    cost: TrainingCost | None = None
    """Of training: how fast it was, and what memory it took."""


class RunStatus(Frozen):
    """How a run is going."""

    name: str
    path: str
    running: bool
    """Whether a process works on it."""
    finished: bool
    iterations: int
    """Iterations asked for."""
    iterations_finished: int
    """Self-reward iterations that are whole."""
    last_event: dict[str, Any] | None
    stages: tuple[StageStatus, ...]


class RunRow(Frozen):
    """One line of the list of runs."""

    name: str
    path: str
    state: Literal["running", "finished", "stopped", "damaged"]
    iterations: int | None = None
    iterations_finished: int | None = None
    pairs: int | None = None
    model: str | None = None
    created: str | None = None
    forked: dict[str, Any] | None = None
    problem: str | None = None


def find_run(name: str, runs_dir: Path) -> Path:
    """The directory of a run: a name in the runs directory, or a path.

    Raises:
        StoreError: there is none; the message names close ones.
    """
    for path in (runs_dir / name, Path(name)):
        if name and (path / RUN).is_file():
            return path
    known = [path.name for path in run_paths(runs_dir)]
    close = difflib.get_close_matches(Path(name).name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"runs in {runs_dir}: {', '.join(known) or 'none'}"
    raise StoreError(f"{name}: no such run; {hint}")


def run_paths(runs_dir: Path) -> list[Path]:
    """Directories of all runs, by name."""
    return sorted(path.parent for path in runs_dir.glob(f"*/{RUN}") if not path.parent.name.startswith("."))


def find_config(
    recipe: str,
    overrides: Sequence[str] = (),
    *,
    name: str | None = None,
    iterations: int | None = None,
    runs_dir: str | None = None,
) -> RunConfig:
    """The config that ``recipe`` stands for: a recipe file, a run to go on with, or a packaged recipe.

    Raises:
        ConfigError: there is none, or it cannot work.
    """
    known_runs = Path(runs_dir or RUNS_DIR)
    if not Path(recipe).is_file() and (run := _run_named(recipe, known_runs)) is not None:
        changes = parse_overrides(overrides)
        if moved := sorted({"name", "runs_dir"} & changes.keys()):
            raise ConfigError(
                f"{run}: --set {moved[0]} would leave the run that is to go on; start another one with --name, or "
                "branch off with `selfreward fork`"
            )
        changes |= {"name": name or run.resolve().name}
        if iterations is not None:
            changes["iterations"] = iterations
        config = make_config(RunStore(run).config().model_dump(mode="json"), changes, str(run))
        return config.model_copy(update={"runs_dir": runs_dir if name and runs_dir else str(run.parent)})
    path = Path(recipe) if Path(recipe).is_file() else _packaged(recipe, known_runs)
    config = load_config(path, overrides, name=name, iterations=iterations)
    return config.model_copy(update={"runs_dir": runs_dir}) if runs_dir else config


def _run_named(name: str, runs_dir: Path) -> Path | None:
    try:
        return find_run(name, runs_dir)
    except StoreError:
        return None


def _packaged(recipe: str, runs_dir: Path) -> Path:
    wanted = recipe.removeprefix("recipes/")
    known = names("recipes")
    for name in (wanted, f"{wanted}.yaml"):
        if name in known:
            return find("recipes", name)
    close = difflib.get_close_matches(Path(wanted).stem, [Path(name).stem for name in known], n=1)
    runs = ", ".join(path.name for path in run_paths(runs_dir)) or "none"
    raise ConfigError(
        f"{recipe}: no such recipe{f'; did you mean recipes/{close[0]}.yaml?' if close else ''}\n"
        f"  recipes that come with selfreward: {', '.join(known)}\n  runs in {runs_dir}: {runs}"
    )


def run_list(runs_dir: Path, opened: OpenIteration = RunStore.iteration) -> list[RunRow]:
    """All runs of a directory, by name. One that is damaged says so and hides no other."""
    return [_run_row(path, opened) for path in run_paths(runs_dir)]


def _run_row(path: Path, opened: OpenIteration) -> RunRow:
    try:
        run = RunStore(path)
        status = run_status(run, opened)
        pairs = [s.rows for s in status.stages if s.stage == "pairs"]
        return RunRow(
            name=path.name,
            path=str(path),
            state="running" if status.running else "finished" if status.finished else "stopped",
            iterations=status.iterations,
            iterations_finished=status.iterations_finished,
            pairs=sum(pairs),
            model=run.config().model.name,
            created=run.head["created"],
            forked=run.head["forked"],
        )
    except SelfRewardError as error:
        return RunRow(name=path.name, path=str(path), state="damaged", problem=str(error))


def run_status(run: RunStore, opened: OpenIteration = RunStore.iteration) -> RunStatus:
    """How far each stage that was begun is, by the manifests; what they do not know, by the last events.

    Args:
        opened: gives an iteration; somebody who asks often keeps manifests that are read already.
    """
    running = is_running(run.path)
    latest: dict[tuple[int, str], dict[str, Any]] = {}
    last: deque[dict[str, Any]] = deque(maxlen=1)
    for event in read_events(run.path / EVENTS):
        last.append(event)
        if "stage" in event and "total" in event:
            latest[event["iteration"], event["stage"]] = event
    iterations = [opened(run, t) for t in run.iterations()]
    stages = []
    for it in iterations:
        t = it.manifest.iteration
        for name, entry in it.manifest.stages.items():
            event = latest.get((t, name), {})
            # A fork has no events of what it inherited; its rows are what is known.
            done = event.get("done", entry.rows)
            total = event.get("total", entry.rows if entry.finished else None)
            stages.append(
                StageStatus(
                    iteration=t,
                    stage=name,
                    done=done,
                    total=total,
                    rows=entry.rows,
                    seconds=entry.seconds,
                    finished=entry.finished,
                    judge_accuracy=measured_accuracy(entry),
                    comparison=compared(entry),
                    cost=training_cost(entry),
                )
            )
    whole = {it.manifest.iteration for it in iterations if it.manifest.finished}
    wanted = run.config().iterations
    return RunStatus(
        name=run.path.resolve().name,
        path=str(run.path),
        running=running,
        finished=whole >= set(range(wanted + 1)),
        iterations=wanted,
        iterations_finished=len(whole - {0}),
        last_event=last[0] if last else None,
        stages=tuple(stages),
    )


def measured_accuracy(entry: StageEntry | None) -> Figure | None:
    """What a stage that measured a judge says of it; None for any other stage."""
    report = entry.summary if entry is not None else {}
    return Figure.model_validate(report["whole"]["judge"]["pairwise_accuracy"]) if "whole" in report else None


def compared(entry: StageEntry | None) -> Comparison | None:
    """What a stage that put two models against each other came to; None for any other stage."""
    report = entry.summary if entry is not None else {}
    return Comparison.model_validate(report) if "conclusion" in report else None


def training_cost(entry: StageEntry | None) -> TrainingCost | None:
    """What training took; None for any other stage."""
    cost = entry.summary.get("cost") if entry is not None else None
    return None if cost is None else TrainingCost.model_validate(cost)


def follow(path: Path, wait: Callable[[], None]) -> Iterator[RunStatus]:
    """The run's status again and again, until no process works on it; ``wait`` is called in between."""
    while True:
        status = run_status(RunStore(path))
        yield status
        if not status.running:
            return
        wait()


def is_running(path: Path) -> bool:
    """Whether a process holds the run's lock. Looking takes a shared lock for an instant and changes nothing."""
    import fcntl

    try:
        with (path / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
