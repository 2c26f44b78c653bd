"""Rows that are not trained on, to compare the policy at several steps by, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfreward.errors import TrainingError
from selfreward.records import derive_seed
from selfreward.training.job import TrainingJob

if TYPE_CHECKING:
    from datasets import Dataset

_OF_THE_MACHINE = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second", "eval_model_preparation_time")
"""Equal runs differ in it."""


def hold_out(job: TrainingJob, data: Dataset) -> tuple[Dataset, Dataset | None]:
    """What is trained on, and what is held out: all rows of some prompts, drawn by the prompts' ids.

    Raises:
        TrainingError: there are not two prompts.
    """
    best = job.objective.keep_best
    share = None if best is None else best.held_out
    if share is None:
        return data, None
    of_rows: list[str] = data["prompt_id"][:]
    prompts = sorted(set(of_rows), key=lambda prompt: (derive_seed(job.seed, "held out", prompt), prompt))
    if len(prompts) < 2:
        raise TrainingError(
            f"all {len(data)} rows are of one prompt, and {job.named('keep_best')} holds some prompts out; make it null"
        )
    out = set(prompts[: min(max(1, round(share * len(prompts))), len(prompts) - 1)])
    sides: tuple[list[int], list[int]] = ([], [])
    for row, prompt in enumerate(of_rows):
        sides[prompt in out].append(row)
    return data.select(sides[False]), data.select(sides[True])


def candidates(log: list[dict[str, float]]) -> list[dict[str, float]]:
    """What the Trainer logged of each evaluation on held-out rows."""
    return [
        {name: value for name, value in entry.items() if name not in _OF_THE_MACHINE}
        for entry in log
        if "eval_loss" in entry
    ]


def kept_step(state: Any, found: list[dict[str, float]]) -> int | None:
    """The step of the best; None where none was looked for.

    Raises:
        TrainingError: no candidate had a loss.
    """
    if found and state.best_model_checkpoint is None:
        raise TrainingError("the loss on held-out rows was not a number at any step; make keep_best null to do without")
    return state.best_global_step if found else None
