"""The training process itself: ``python -m selfreward.training.child DIR``."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.engines.loading import load_chat
from selfreward.errors import SelfRewardError, TrainingError
from selfreward.objectives.reward import RewardConfig
from selfreward.tracking import training_callbacks
from selfreward.training.cost import COST, cost_recorder, read_cost, summarise_cost
from selfreward.training.job import JOB, RESULT, REWARD_MODEL, TrainingJob, TrainingResult
from selfreward.training.rows import load_rows
from selfreward.training.watching import is_finite, reporter
from selfreward.training.weights import load_policy, load_reward_model, save_adapter

if TYPE_CHECKING:
    from transformers import Trainer


def _run(out: Path, say: Callable[[dict[str, Any]], None]) -> None:
    from transformers import set_seed

    job = TrainingJob.model_validate_json((out / JOB).read_text(encoding="utf-8"))
    chat = load_chat(job.model)
    data, counts = load_rows(job, chat)
    set_seed(job.seed)
    rewards = isinstance(job.objective, RewardConfig)
    model = load_reward_model(job) if rewards else load_policy(job)
    trainer: Any = job.objective.trainer(model, chat, data, str(out / "trainer"), job.seed)
    trainer.add_callback(reporter(say))
    trainer.add_callback(cost_recorder(trainer, out / COST))
    if job.tracking is not None:
        for callback in training_callbacks(job.tracking, job.name, trainer.args):
            trainer.add_callback(callback)
    steps = _train(trainer, job)
    if rewards:
        trainer.model.merge_and_unload().save_pretrained(str(out / REWARD_MODEL))
        chat.tokenizer.save_pretrained(str(out / REWARD_MODEL))
    else:
        save_adapter(trainer, out / "adapter", job.model.name)
    lines = "".join(json.dumps(step) + "\n" for step in steps)
    (out / "training.jsonl").write_text(lines, encoding="utf-8")
    result = TrainingResult(counts=counts, steps=steps, cost=summarise_cost(read_cost(out / COST)))
    (out / RESULT).write_text(result.model_dump_json(), encoding="utf-8")


def _train(trainer: Trainer, job: TrainingJob) -> list[dict[str, float]]:
    import torch

    try:
        trainer.train()
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "out of memory in training; run the same command again with "
            f"--set {job.named('micro_batch_size')}={max(1, job.objective.micro_batch_size // 2)}"
        ) from error
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    if not steps or not all(map(is_finite, steps)):
        raise TrainingError(
            f"the loss or its gradient was not a number in step {len(steps)}; try a lower "
            f"{job.named('learning_rate')}. The parent model is untouched"
        )
    return steps


def _end_with_parent() -> None:
    sys.stdin.read()  # returns when the parent's end of the pipe is closed, by its death too
    os._exit(1)


def main(out: Path) -> None:
    """The child's side: work, and say how it goes as JSON lines on what was its standard output."""
    from safetensors import SafetensorError

    threading.Thread(target=_end_with_parent, daemon=True).start()
    # One process trains on one GPU: with more in sight, TRL refuses to start.
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the log

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=channel, flush=True)

    try:
        _run(out, say)
    except SelfRewardError as error:
        say({"error": str(error)})
        sys.exit(1)
    except SafetensorError as error:  # a full disk, when the adapter is saved
        say({"error": f"training could not write its adapter: {error} ({out}). Finished work is kept"})
        sys.exit(1)
    except OSError as error:
        why = error.strerror or str(error)
        say({"error": f"training could not read or write: {why} ({error.filename or out}). Finished work is kept"})
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
