"""Training, in a process of its own: one job file in, an adapter (or a reward model) and a log of every step out.

A process that trained gives all its memory back when it ends, so engine and training never share a GPU.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict

from selfreward.engines.loading import ModelConfig, load_chat, load_merged, load_weights, training_dtype
from selfreward.errors import SelfRewardError, TrainingError
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.objectives.reward import RewardConfig, with_reward_head
from selfreward.records import Frozen

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from selfreward.engines.chat import Chat

VERSION = 1
_LOG = "training.log"
_RESULT = "result.json"
REWARD_MODEL = "reward_model"


class TrainingJob(Frozen):
    """Everything that a training process needs to know."""

    section: Literal["sft", "train", ""]
    """Of the recipe, where the objective's settings are; errors name it. None where they are given by themselves."""
    objective: ObjectiveConfig | RewardConfig
    model: ModelConfig
    adapter: str | None
    """The parent's adapter, which is trained on; None starts a new one."""
    lora: LoraConfig
    data: tuple[str, ...]
    """Parquet files of examples, pairs or labelled responses."""
    seed: int

    def named(self, setting: str) -> str:
        """One of the objective's settings, as ``--set`` names it."""
        return f"{self.section}.{setting}" if self.section else setting


class TrainingResult(Frozen):
    """What came of it. ``steps`` holds TRL's log of every optimiser step."""

    model_config = ConfigDict(allow_inf_nan=True)  # a figure beside the loss may be no number

    counts: dict[str, int]
    steps: list[dict[str, float]]

    def summary(self) -> dict[str, Any]:
        """First and last value of what TRL logs at every step."""
        return {
            "steps": len(self.steps),
            **{
                name: {"first": self.steps[0][name], "last": self.steps[-1][name]}
                for name in sorted(self.steps[0])
                if name in self.steps[-1] and name not in ("epoch", "step")
            },
        }


def train(job: TrainingJob, out: Path, on_step: Callable[[int, int], None]) -> TrainingResult:
    """Run the job in a child process; ``out/adapter`` holds what it made.

    Raises:
        TrainingError: the process failed, its loss was not a number, or no row was left to train on.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
    with (out / _LOG).open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "selfreward.stages.training", str(out)],
            stdin=subprocess.PIPE,  # held open: its end tells the child that its parent is gone
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches it through its parent alone
            text=True,
            encoding="utf-8",
        )
        error = None
        try:
            assert child.stdout is not None
            for line in child.stdout:
                message = json.loads(line)
                error = message.get("error", error)
                if "step" in message:
                    on_step(message["step"], message["steps"])
        finally:
            # The child ends by itself when it closed its output; on any error here it must not outlive us.
            if sys.exc_info()[0] is not None:
                child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
    if error is not None:
        raise TrainingError(error)
    if child.returncode != 0:
        raise TrainingError(_failure(child.returncode, out / _LOG))
    return TrainingResult.model_validate_json((out / _RESULT).read_text(encoding="utf-8"))


def _failure(code: int, log: Path) -> str:
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
    hint = "; the machine may be out of memory: try a smaller micro_batch_size" if code == -9 else ""
    return f"the training process {how}{hint}. Its last words ({log}):\n" + "\n".join(last)


def _run(out: Path, say: Callable[[dict[str, Any]], None]) -> None:
    from transformers import set_seed

    job = TrainingJob.model_validate_json((out / "job.json").read_text(encoding="utf-8"))
    chat = load_chat(job.model)
    data, counts = _load_data(job, chat)
    set_seed(job.seed)
    rewards = isinstance(job.objective, RewardConfig)
    model = _load_reward_model(job) if rewards else _load_policy(job)
    trainer: Any = job.objective.trainer(model, chat, data, str(out / "trainer"), job.seed)
    trainer.add_callback(_reporter(say))
    steps = _train(trainer, job)
    if rewards:
        trainer.model.merge_and_unload().save_pretrained(str(out / REWARD_MODEL))
        chat.tokenizer.save_pretrained(str(out / REWARD_MODEL))
    else:
        _save_adapter(trainer, out / "adapter", job.model.name)
    lines = "".join(json.dumps(step) + "\n" for step in steps)
    (out / "training.jsonl").write_text(lines, encoding="utf-8")
    result = TrainingResult(counts=counts, steps=steps)
    (out / _RESULT).write_text(result.model_dump_json(), encoding="utf-8")


def _save_adapter(trainer: Any, path: Path, model: str) -> None:
    trainer.model.save_pretrained(str(path), selected_adapters=["default"], safe_serialization=True)
    (path / "README.md").unlink(missing_ok=True)  # PEFT's empty model card, with a local path in it
    _settle_adapter_config(path / "adapter_config.json", model)


def _load_reward_model(job: TrainingJob) -> Any:
    adapter = Path(job.adapter) if job.adapter else None
    return with_reward_head(load_merged(job.model, adapter, training_dtype()), job.lora)


def _load_policy(job: TrainingJob) -> Any:
    """The root model with the parent's adapter over it, or a new one."""
    from peft import LoraConfig as PeftLoraConfig
    from peft import PeftModel, get_peft_model

    weights: Any = load_weights(job.model, training_dtype(), in_4bit=job.lora.load_in_4bit)
    if job.adapter is not None:
        return PeftModel.from_pretrained(weights, job.adapter, is_trainable=True)
    modules = job.lora.target_modules
    lora = PeftLoraConfig(
        task_type="CAUSAL_LM",
        r=job.lora.r,
        lora_alpha=job.lora.alpha,
        lora_dropout=job.lora.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
    )
    try:
        policy: Any = get_peft_model(weights, lora)
    except ValueError as error:  # no layer of that name, or one that can have no adapter
        raise TrainingError(f"lora.target_modules: {error}") from error
    model: Any = policy.get_base_model()
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        # In many models they are one matrix, which engines would change in both places and training in one.
        if hasattr(layer, "lora_A"):
            raise TrainingError(
                "lora.target_modules names the word embeddings or the output layer, of which an adapter would not "
                "be trained and served alike; name other layers, or all-linear"
            )
    return policy


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
    if not steps or not all(map(_is_finite, steps)):
        raise TrainingError(
            f"the loss or its gradient was not a number in step {len(steps)}; try a lower "
            f"{job.named('learning_rate')}. The parent model is untouched"
        )
    return steps


def _is_finite(logged: Mapping[str, float]) -> bool:
    return all(math.isfinite(logged[name]) for name in ("loss", "grad_norm") if name in logged)


def _settle_adapter_config(path: Path, model: str) -> None:
    """Equal runs give equal bytes: PEFT writes its set of modules in no order, and the model by its local path."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    config["base_model_name_or_path"] = model
    path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


def _load_data(job: TrainingJob, chat: Chat) -> tuple[Dataset, Counter[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset

    # Not Dataset.from_parquet, which takes a path with a bracket in it for a pattern.
    rows = Dataset(pa.concat_tables(pq.ParquetFile(path).read() for path in job.data))
    data = rows.filter(lambda row: job.objective.fits(row, chat))
    if not len(data):
        raise TrainingError(
            f"nothing to train on: all {len(rows)} rows are longer than {job.named('max_length')}="
            f"{job.objective.max_length} tokens; raise it"
        )
    return data, Counter({"rows": len(data), "drop.too_long": len(rows) - len(data)})


def _reporter(say: Callable[[dict[str, Any]], None]) -> Any:
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            # Nothing comes back from there, and hours of steps would follow.
            if not _is_finite(logs):
                control.should_training_stop = True

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            say({"step": state.global_step, "steps": state.max_steps})

    return Reporter()


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
