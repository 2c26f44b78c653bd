"""Checkpoints inside a training, from which it goes on when it was cut off. The Trainer writes and reads them.

One counts once a list of its files' hashes stands beside them, so that half of one is never taken for a whole.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfreward.training.watching import goes_well, steps_of

_WHOLE = "whole.json"
_STATE = "trainer_state.json"


def settle(directory: Path) -> list[str]:
    """Remove what cannot be gone on from, and say what was damaged. The parent does it, while nothing trains."""
    found = _by_step(directory)
    whole = {checkpoint.name for checkpoint in found if _is_whole(checkpoint)}
    usable = {name for name in whole if (_best(directory / name) or name) in whole}
    for checkpoint in found:
        if checkpoint.name not in usable:
            shutil.rmtree(checkpoint)
    return [f"{c}: not whole, so training does not go on from it" for c in found if c.name not in usable]


def last_checkpoint(directory: Path) -> Path | None:
    """The one to go on from, after :func:`settle`."""
    return next(iter(reversed(_by_step(directory))), None)


def step_of(checkpoint: Path) -> int:
    """After how many steps it was written."""
    return int(checkpoint.name.rpartition("-")[2])


def keeper(trainer: Any) -> Any:
    """A callback that keeps the trainer's checkpoints small, marks whole ones, and removes those before the last."""
    from transformers import TrainerCallback

    class Keeper(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            _count_on(trainer, state.log_history)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step >= state.max_steps and not args.load_best_model_at_end:
                control.should_save = False  # the model itself comes next

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            trainer.accelerator.wait_for_everyone()  # other processes may still write their part
            if state.is_world_process_zero:
                written = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                if not goes_well(steps_of(state.log_history)):
                    shutil.rmtree(written)  # nothing comes back from there
                    return
                _mark(written)
                best = Path(state.best_model_checkpoint).name if state.best_model_checkpoint else None
                _remove(c for c in _by_step(written.parent) if c.name not in (written.name, best))

    return Keeper()


def load_as_saved(trainer: Any) -> None:
    """Let an adapter that is read back have the precision that it is trained in; PEFT would raise bfloat16."""
    if hasattr(trainer.model, "load_adapter"):
        trainer.model.load_adapter = functools.partial(trainer.model.load_adapter, autocast_adapter_dtype=False)


def _count_on(trainer: Any, log: Iterable[dict[str, float]]) -> None:
    """TRL counts its tokens from nothing when it goes on."""
    counted = [entry["num_tokens"] for entry in log if "num_tokens" in entry]
    if counted and hasattr(trainer, "_total_train_tokens"):
        trainer._total_train_tokens = counted[-1]


def _mark(checkpoint: Path) -> None:
    # TRL's frozen copy of M_t's adapter is made anew at the start; read back from here, it would be all that is read.
    shutil.rmtree(checkpoint / "ref", ignore_errors=True)
    (checkpoint / "training_args.bin").unlink(missing_ok=True)  # pickled, and never read
    hashes = {}
    for file in sorted(p for p in checkpoint.rglob("*") if p.is_file()):
        hashes[file.relative_to(checkpoint).as_posix()] = _hash(file)
        sync(file)
    temporary = checkpoint / f"{_WHOLE}.part"
    temporary.write_text(json.dumps(hashes), encoding="utf-8")
    sync(temporary)
    temporary.replace(checkpoint / _WHOLE)
    sync(checkpoint)


def _is_whole(checkpoint: Path) -> bool:
    try:
        hashes = json.loads((checkpoint / _WHOLE).read_text(encoding="utf-8"))
        return all(_hash(checkpoint / name) == digest for name, digest in hashes.items())
    except (OSError, ValueError, AttributeError):  # not there, not JSON, or no mapping
        return False


def _best(checkpoint: Path) -> str | None:
    """Name of the checkpoint that was the best so far, where they are compared."""
    best = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))["best_model_checkpoint"]
    return Path(best).name if best else None


def _by_step(directory: Path) -> list[Path]:
    return sorted(directory.glob("checkpoint-*"), key=step_of)


def _remove(checkpoints: Iterable[Path]) -> None:
    for checkpoint in checkpoints:
        shutil.rmtree(checkpoint)


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sync(path: Path) -> None:
    """fsync of a file or directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
