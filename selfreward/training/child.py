"""The training process itself: ``python -m selfreward.training.child DIR``."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from selfreward.engines.loading import load_chat
from selfreward.errors import SelfRewardError, TrainingError
from selfreward.objectives.batches import batch_of_tokens, micro_batches, processes_here
from selfreward.objectives.reference import HeldConfig
from selfreward.objectives.reward import RewardConfig
from selfreward.tracking import training_callbacks
from selfreward.training.candidates import candidate_saver
from selfreward.training.checkpoints import keeper, last_checkpoint, load_as_saved
from selfreward.training.cost import COST, cost_recorder, read_cost, summarise_cost
from selfreward.training.held_out import candidates, hold_out, kept_step
from selfreward.training.job import JOB, LOG, RESULT, REWARD_MODEL, ROWS, TRAINER, TrainingJob, TrainingResult
from selfreward.training.launching import is_first, take_device
from selfreward.training.rows import load_rows
from selfreward.training.watching import explosion, goes_well, reporter, steps_of
from selfreward.training.weights import initial_model, load_policy, load_reward_model, save_policy

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from selfreward.engines.chat import Chat


_LONGEST = 500
"""Characters of a message: lines of several processes must not run into each other."""
Say = Callable[[dict[str, Any]], None]


class _OutOfMemory(Exception):
    """A step needed more than there is."""


def _run(out: Path, say: Say) -> None:
    from transformers import set_seed

    job = TrainingJob.model_validate_json((out / JOB).read_text(encoding="utf-8"))
    chat = load_chat(job.model)
    rows, counts = load_rows(job, chat, out / ROWS)
    data, held_out = hold_out(job, rows)
    job = _with_batches(job, data, chat)
    if held_out is not None:
        counts["rows"], counts["held_out"] = len(data), len(held_out)
    set_seed(job.seed)
    rewards = isinstance(job.objective, RewardConfig)
    model = load_reward_model(job) if rewards else load_policy(job)
    arguments = (model, chat, data, str(out / TRAINER), job.seed, held_out)
    with _told_of_memory():  # the reference may compute here already
        if isinstance(job.objective, HeldConfig):
            trainer: Any = job.objective.trainer(*arguments, initial_model(job))
        else:
            trainer = job.objective.trainer(*arguments)
    trainer.add_callback(reporter(say if is_first() else lambda message: None))
    trainer.add_callback(cost_recorder(trainer, out / COST))
    every, made = job.objective.candidate_steps, out / job.makes
    if every is not None:
        trainer.add_callback(candidate_saver(made, every, lambda path: save_policy(trainer, path, job, chat)))
    trainer.add_callback(keeper(trainer))
    if job.tracking is not None:
        for callback in training_callbacks(job.tracking, job.name, trainer.args):
            trainer.add_callback(callback)
    load_as_saved(trainer)
    steps = _train(trainer, job, last_checkpoint(out / TRAINER))
    if not rewards and every is None:
        save_policy(trainer, made, job, chat)  # all processes, where each has a part of the weights
    if not is_first():
        return
    if rewards:
        trainer.model.merge_and_unload().save_pretrained(str(out / REWARD_MODEL))
        chat.tokenizer.save_pretrained(str(out / REWARD_MODEL))
    scored = candidates(trainer.state.log_history)
    log = sorted([*steps, *scored], key=lambda entry: entry["step"])
    # Sorted, as the Trainer sorts what it reads back from a checkpoint.
    lines = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in log)
    (out / LOG).write_text(lines, encoding="utf-8")
    result = TrainingResult(
        counts=counts,
        steps=steps,
        cost=summarise_cost(read_cost(out / COST)),
        candidates=scored,
        kept_step=kept_step(trainer.state, scored),
        batch_size=job.objective.batch_size,
    )
    (out / RESULT).write_text(result.model_dump_json(), encoding="utf-8")


def _with_batches(job: TrainingJob, data: Dataset, chat: Chat) -> TrainingJob:
    """The same with a number of examples in a step, which the processes can share."""
    size = batch_of_tokens(job.objective, data, chat, processes_here())
    sized = job.model_copy(update={"objective": job.objective.model_copy(update={"batch_size": size})})
    try:
        micro_batches(sized.objective, processes_here())
    except ValueError as error:
        raise TrainingError(job.named(str(error))) from error
    return sized


def _train(trainer: Trainer, job: TrainingJob, checkpoint: Path | None) -> list[dict[str, float]]:
    with _told_of_memory():
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    steps = steps_of(trainer.state.log_history)
    if not goes_well(steps):
        why = explosion(steps) or f"the loss or its gradient was not a number in step {len(steps)}"
        raise TrainingError(f"{why}; try a lower {job.named('learning_rate')}. The parent model is untouched")
    return steps


@contextmanager
def _told_of_memory() -> Iterator[None]:
    from accelerate.utils.memory import should_reduce_batch_size

    try:
        yield
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
        raise _OutOfMemory from error


def _end_with_parent() -> None:
    sys.stdin.read()  # returns when the parent's end of the pipe is closed, by its death too
    os._exit(1)


def main(out: Path) -> None:
    """The child's side: work, and say how it goes as JSON lines on what was its standard output."""
    from safetensors import SafetensorError

    threading.Thread(target=_end_with_parent, daemon=True).start()
    take_device()
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the log

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=channel, flush=True)

    def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.__excepthook__(kind, error, trace)
        say(
            {"crash": f"{kind.__name__}: {error}"[:_LONGEST]}
        )  # of several processes, one alone knows why all of them end

    sys.excepthook = crashed
    try:
        _run(out, say)
    except _OutOfMemory:
        say({"out_of_memory": True})
        sys.exit(1)
    except SelfRewardError as error:
        say({"error": str(error)})
        sys.exit(1)
    except SafetensorError as error:  # a full disk, when the model is saved
        say({"error": f"training could not write its model: {error} ({out}). Finished work is kept"})
        sys.exit(1)
    except OSError as error:
        why = error.strerror or str(error)
        say({"error": f"training could not read or write: {why} ({error.filename or out}). Finished work is kept"})
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
