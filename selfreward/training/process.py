"""The parent's side of training: start the process, pass its progress on, read what came of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import TrainingError
from selfreward.training.checkpoints import last_checkpoint, settle, step_of
from selfreward.training.job import JOB, RESULT, ROWS, TRAINER, TrainingJob, TrainingResult
from selfreward.training.launching import command, processes_of

_CHILD = "selfreward.training.child"
_KEY = "key"
_LOG = "training.log"
OnStep = Callable[[int, int], None]
Say = Callable[[str], None]


@dataclass
class _Words:
    """What the processes said that decides how it ends; what was said first is the cause of the rest."""

    error: str | None = None
    crash: str | None = None
    out_of_memory: bool = False

    def hear(self, message: dict[str, Any]) -> None:
        self.error = self.error or message.get("error")
        self.crash = self.crash or message.get("crash")
        self.out_of_memory = self.out_of_memory or "out_of_memory" in message


def train(job: TrainingJob, key: str, out: Path, on_step: OnStep, say: Say) -> TrainingResult:
    """Run the job in processes of its own; ``out`` holds what it made, in a directory of the name ``job.makes``.

    It goes on from the last checkpoint in ``out`` where that has the same key, a hash of what is trained on what.

    Raises:
        TrainingError: the process failed, its loss was not a number, or no row was left to train on.
        ConfigError: the config that it is to be launched through cannot be used.
    """
    before = _job_before(out, key)
    if not before:
        with _writing(out):
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            (out / _KEY).write_text(key, encoding="utf-8")
    sizes = _sizes(job, before)
    for size in sizes:
        objective = job.objective.model_copy(update={"micro_batch_size": size})
        for damaged in settle(out / TRAINER):
            say(damaged)
        begun = last_checkpoint(out / TRAINER)
        if begun is not None:
            say(f"training goes on after step {step_of(begun)}")
        words = _run(job.model_copy(update={"objective": objective}), out, on_step)
        if not words.out_of_memory:
            if words.error is not None:
                raise TrainingError(words.error)
            result = TrainingResult.model_validate_json((out / RESULT).read_text(encoding="utf-8"))
            if result.kept_step is not None:
                say(f"the policy after step {result.kept_step} is kept: its loss on held-out rows was the lowest")
            return result
        if size != sizes[-1]:
            say(f"out of memory in training with {job.named('micro_batch_size')}={size}; it goes on with less at once")
    raise TrainingError(_out_of_memory(job, sizes[-1]))


def _run(job: TrainingJob, out: Path, on_step: OnStep) -> _Words:
    """Start the processes and listen until the last of them has ended."""
    words = _Words()
    with _writing(out):
        shutil.rmtree(out / ROWS, ignore_errors=True)  # an earlier try's
        (out / ROWS).mkdir()
        (out / JOB).write_text(job.model_dump_json(), encoding="utf-8")
    with (out / _LOG).open("w", encoding="utf-8") as log:
        child = subprocess.Popen(
            command(_CHILD, out, job.accelerate_config),
            stdin=subprocess.PIPE,  # held open: its end tells all of them that they have to end too
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches it through its parent alone
            text=True,
            encoding="utf-8",
        )
        assert child.stdin is not None
        assert child.stdout is not None
        threading.Thread(target=_close_after, args=(child, child.stdin), daemon=True).start()
        with child.stdout:
            try:
                for message in _messages(child.stdout):
                    words.hear(message)
                    if "step" in message:
                        on_step(message["step"], message["steps"])
            finally:
                # It ends by itself when it closed its output; on any error here it must not outlive us.
                if sys.exc_info()[0] is not None:
                    child.kill()
                    child.stdout.read()  # until what it started has ended as well
                child.wait()
    if child.returncode != 0 and words.error is None and not words.out_of_memory:
        words.error = _failure(child.returncode, out / _LOG, words.crash, job.named("micro_batch_size"))
    return words


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"training could not write: {error.strerror or error} ({out}). Finished work is kept: make room or give "
            "write permission, then run the same command again"
        ) from error


def _close_after(child: subprocess.Popen[str], stdin: Any) -> None:
    """When a launcher was killed, the processes that it had started hear of it in this way."""
    child.wait()
    stdin.close()


def _messages(lines: Any) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("{"):  # all else is what a launcher prints
            yield json.loads(line)


def _job_before(out: Path, key: str) -> dict[str, Any]:
    """What an earlier try with this key was told; empty where there was none."""
    try:
        same = (out / _KEY).read_text(encoding="utf-8") == key
        found = json.loads((out / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if same and isinstance(found, dict) else {}


def _sizes(job: TrainingJob, before: dict[str, Any]) -> list[int]:
    """Micro batches to try, one after the other; where an earlier try had found one, from there on."""
    objective = job.objective
    if objective.micro_batch_size != "auto":
        return [objective.micro_batch_size]
    share = objective.batch_size // processes_of(job.accelerate_config)
    sizes = [share]
    while smaller := [n for n in range(objective.least_at_once, sizes[-1] // 2 + 1) if share % n == 0]:
        sizes.append(smaller[-1])
    found = before.get("objective", {}).get("micro_batch_size")
    return sizes[sizes.index(found) :] if found in sizes else sizes


def _out_of_memory(job: TrainingJob, size: int) -> str:
    if job.objective.micro_batch_size != "auto" and size > job.objective.least_at_once:
        less = f"auto, or a number below {size}" if job.objective.batch_tokens is None else size // 2
        way_out = f"--set {job.named('micro_batch_size')}={less}"
    else:
        lighter = "an adapter (lora) instead of all weights" if job.lora is None else "lora.load_in_4bit"
        way_out = f"a lower {job.named('max_length')}, {job.named('gradient_checkpointing')}=true, or {lighter}"
    return (
        f"out of memory in training with {job.named('micro_batch_size')}={size}; run the same command again with "
        f"{way_out}"
    )


def _failure(code: int, log: Path, crash: str | None, size: str) -> str:
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
    killed = code == -9 or any("(SIGKILL)" in line for line in last)  # by itself, or as its launcher tells it
    hint = f"; the machine may be out of memory: try a smaller {size}" if killed else ""
    why = "" if crash is None else f" ({crash})"
    return f"the training process {how}{hint}{why}. Its last words ({log}):\n" + "\n".join(last)
