"""Adapters of several steps, for the judge to choose from when training is done."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfreward.training.checkpoints import step_of, sync


def candidate(directory: Path, step: int) -> Path:
    """Where the adapter of a step is."""
    return directory / f"step-{step}"


def candidate_saver(directory: Path, every: int, save: Callable[[Path], None]) -> Any:
    """A callback that has a candidate saved every so many steps and after the last one; ``save`` is called in all
    processes, and the first one writes."""
    from transformers import TrainerCallback

    class Saver(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            # Training that goes on from a checkpoint does the steps after it again. What is before it is whole, since
            # a step's candidate is on the disk before its checkpoint is.
            if state.is_world_process_zero:
                for path in directory.glob("step-*"):
                    if step_of(path) > state.global_step:
                        shutil.rmtree(path)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step % every and state.global_step < state.max_steps:
                return
            path = candidate(directory, state.global_step)
            save(path)
            if state.is_world_process_zero:
                for written in (*path.iterdir(), path, directory):
                    sync(written)

    return Saver()
