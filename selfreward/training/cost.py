"""What training costs, step by step: time, tokens, memory. Equal runs differ in it, so it has a file of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.engines.loading import torch_device
from selfreward.records import Frozen

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

COST = "training_cost.jsonl"
_FOR_TRACKERS = ("tokens_per_second", "peak_memory_gib")
_PROCESS = Path("/proc/self/status")


class TrainingCost(Frozen):
    """All steps together."""

    tokens: int
    """That were trained on, in all passes; of a pair both sides with their prompt, and no padding."""
    seconds: float
    tokens_per_second: float
    peak_memory_gib: float
    """What torch held at most on the accelerator of one process; without one, the process's resident set."""


def summarise_cost(steps: Iterable[Mapping[str, Any]]) -> TrainingCost | None:
    """Of the lines of training_cost.jsonl; None where there are none."""
    found = list(steps)
    seconds = sum(step["seconds"] for step in found)
    if not seconds:
        return None
    tokens = sum(step["tokens"] for step in found)
    return TrainingCost(
        tokens=tokens,
        seconds=round(seconds, 1),
        tokens_per_second=round(tokens / seconds, 1),
        peak_memory_gib=max(step["peak_memory_gib"] for step in found),
    )


def read_cost(path: Path) -> list[dict[str, Any]]:
    """The file's lines, without one that a crash cut off."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def cost_recorder(trainer: Any, path: Path) -> Any:
    """A callback that writes a line to ``path`` at the end of each of the trainer's steps."""
    from transformers import TrainerCallback

    counter = _TokenCounter()
    trainer.model.register_forward_pre_hook(counter.see, with_kwargs=True)

    class Recorder(TrainerCallback):
        began = 0.0
        last: Mapping[str, float] = {}

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not state.is_world_process_zero:
                return
            # Training that goes on from a checkpoint does the steps after it again.
            kept = [step for step in read_cost(path) if step["step"] <= state.global_step]
            path.write_text("".join(json.dumps(step) + "\n" for step in kept), encoding="utf-8")

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.began = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            tokens = counter.take(trainer.accelerator)  # waits for the accelerator too
            seconds = time.monotonic() - self.began
            if state.is_world_process_zero:
                self.last = {
                    "seconds": round(seconds, 4),
                    "tokens": tokens,
                    "tokens_per_second": round(tokens / seconds, 1),
                    "peak_memory_gib": round(_peak_memory() / 2**30, 3),
                }
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": state.global_step, **self.last}) + "\n")

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            # The trainer's own history is written by now; what trackers are given, after this, may hold more.
            if "loss" in logs:  # a step's, not the end's
                logs.update({name: self.last[name] for name in _FOR_TRACKERS if name in self.last})

    return Recorder()


class _TokenCounter:
    """Counts in the model's forward passes: batches are named differently by every trainer of TRL."""

    def __init__(self) -> None:
        self._counted: list[torch.Tensor] = []

    def see(self, module: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> None:
        import torch

        if not torch.is_grad_enabled():
            return  # the reference model's, or an evaluation
        ids = given["input_ids"] if "input_ids" in given else arguments[0]
        mask = given.get("attention_mask")
        self._counted.append(torch.tensor(ids.numel()) if mask is None else mask.sum())

    def take(self, accelerator: Accelerator) -> int:
        """Those of all processes since the last time."""
        import torch

        own = sum((int(tokens) for tokens in self._counted), 0)
        self._counted.clear()
        return int(accelerator.gather(torch.tensor(own, device=accelerator.device)).sum())


def _peak_memory() -> int:
    """Bytes."""
    import torch

    device = torch_device()
    of_device = torch.get_device_module(device)
    if device.type != "cpu" and hasattr(of_device, "max_memory_allocated"):
        return int(of_device.max_memory_allocated())
    if _PROCESS.exists():  # getrusage's figure begins with that of the process that started this one
        (line,) = (line for line in _PROCESS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
