"""The training process itself, with something that happens to it: TRAINING_HOOK says what, and when.

``kill:3`` kills it after three steps; ``crash:3`` lets a second process fail there; ``memory:2`` lets memory run out
when it takes more than two rows at once, after two steps; ``reference:2`` the same before the first step, when the
reference is asked; ``explode:12`` makes gradients a million times as long after 12 steps.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import transformers
import trl

from selfreward.training.child import main

_what, _, _number = os.environ["TRAINING_HOOK"].partition(":")
_step, _ask = transformers.Trainer.training_step, trl.DPOTrainer.compute_ref_log_probs


def hooked(self: Any, *arguments: Any, **options: Any) -> Any:
    steps, number = self.state.global_step, int(_number or 0)
    if _what == "kill" and steps == number:
        os.kill(os.getpid(), signal.SIGKILL)
    if _what == "crash" and steps == number and os.environ.get("RANK") == "1":
        raise IndexError("the second process is at fault")
    if _what == "memory" and steps >= 2:
        _take(self, number)
    loss = _step(self, *arguments, **options)
    if _what == "explode" and steps >= number:
        for weight in self.model.parameters():
            if weight.grad is not None:
                weight.grad *= 1e6
    return loss


def asked(self: Any, *arguments: Any, **options: Any) -> Any:
    if _what == "reference":
        _take(self, int(_number))
    return _ask(self, *arguments, **options)


def _take(trainer: Any, most: int) -> None:
    import torch

    if trainer.args.per_device_train_batch_size > most:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")


transformers.Trainer.training_step = hooked  # type: ignore[method-assign]
trl.DPOTrainer.compute_ref_log_probs = asked
main(Path(sys.argv[1]))
