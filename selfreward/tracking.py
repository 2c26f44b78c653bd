"""Experiment trackers: where figures go besides a run's own files, through what Accelerate and transformers have."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from selfreward.errors import ConfigError, TrackerError
from selfreward.records import Frozen

Tracker = Literal["mlflow", "tensorboard", "trackio", "wandb"]
_ERRORS = {"mlflow": ("mlflow.exceptions", "MlflowException"), "wandb": ("wandb.errors", "Error")}
"""What they raise where they cannot be reached or logged in to; the others raise OSError."""
LOOP = "loop"
"""What the loop's own figures are called there; an iteration's training is called iter-001, as in paths."""


class Tracking(Frozen):
    """Where the figures of a run go. No secrets: each tracker finds its own, as it always does."""

    trackers: tuple[Tracker, ...]
    project: str
    """The run's name: there, a project or an experiment."""
    directory: str
    """Of TensorBoard's files."""


def check_trackers(trackers: Sequence[Tracker]) -> None:
    """Raises ConfigError where one is not installed, with the line that installs it."""
    for tracker in trackers:
        if find_spec(tracker) is None:
            package = "'selfreward[tensorboard]'" if tracker == "tensorboard" else tracker
            raise ConfigError(
                f"report_to={tracker}: {tracker} is not installed: pip install {package}, or leave it out"
            )


def training_callbacks(tracking: Tracking, name: str, arguments: Any) -> list[Any]:
    """transformers' own callbacks for a trainer with these arguments; ``name`` is what this training is called."""
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    arguments.run_name, arguments.project = name, tracking.project
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(Path(tracking.directory) / name)
    for variable in ("WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME"):
        os.environ.setdefault(variable, tracking.project)
    return [callback() for callback in get_reporting_integration_callbacks(list(tracking.trackers))]


class LoopTrackers:
    """Accelerate's trackers for the loop's own figures; an iteration is a step."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self._open: list[tuple[Tracker, Any]] = []

    def open(self) -> None:
        """Begin with each of them, once: what cannot be reached is known before hours of work."""
        if not self._open:
            self._open = [(tracker, _started(tracker, self._tracking)) for tracker in self._tracking.trackers]

    def log(self, iteration: int, figures: Mapping[str, float]) -> None:
        """An iteration's figures."""
        self.open()
        for name, tracker in self._open:
            with _reached(name):
                tracker.log(dict(figures), step=iteration)

    def close(self) -> None:
        """All of it is sent."""
        while self._open:
            name, tracker = self._open.pop()
            with _reached(name):
                tracker.finish()


def _started(tracker: Tracker, tracking: Tracking) -> Any:
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    PartialState()  # their own log asks for it
    project = tracking.project
    arguments: dict[Tracker, dict[str, Any]] = {
        "mlflow": {"experiment_name": project, "run_name": LOOP},
        "tensorboard": {"run_name": LOOP, "logging_dir": tracking.directory},
        "trackio": {"run_name": project, "name": LOOP, "resume": "allow"},
        "wandb": {"run_name": os.environ.get("WANDB_PROJECT", project), "name": LOOP},
    }
    made = LOGGER_TYPE_TO_CLASS[tracker](**arguments[tracker])
    with _reached(tracker):
        made.start()
    return made


@contextmanager
def _reached(tracker: Tracker) -> Iterator[None]:
    errors: list[type[Exception]] = [OSError]
    if tracker in _ERRORS:
        module, name = _ERRORS[tracker]
        errors.append(getattr(import_module(module), name))
    try:
        yield
    except tuple(errors) as error:
        why = str(error).rstrip(".")
        raise TrackerError(
            f"report_to={tracker}: {why}. Finished work is kept; mend it and run the same command again, or go on with "
            "--set report_to=none"
        ) from error
