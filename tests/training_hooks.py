"""The training process itself, with something that happens to it: TRAINING_HOOK says what, and when.

``kill:3`` kills it after three steps; ``crash:3`` lets a second process fail there; ``memory:2`` lets memory run out
when it takes more than two rows at once, after two steps.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import transformers

from selfreward.training.child import main

_what, _, _number = os.environ["TRAINING_HOOK"].partition(":")
_step = transformers.Trainer.training_step


def hooked(self: Any, *arguments: Any, **options: Any) -> Any:
    steps, number = self.state.global_step, int(_number or 0)
    if _what == "kill" and steps == number:
        os.kill(os.getpid(), signal.SIGKILL)
    if _what == "crash" and steps == number and os.environ.get("RANK") == "1":
        raise IndexError("the second process is at fault")
    if _what == "memory" and steps >= 2 and self.args.per_device_train_batch_size > number:
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")
    return _step(self, *arguments, **options)


transformers.Trainer.training_step = hooked  # type: ignore[method-assign]
main(Path(sys.argv[1]))
