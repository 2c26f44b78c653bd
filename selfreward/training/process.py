"""The parent's side of training: start the process, pass its progress on, read what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from selfreward.errors import TrainingError
from selfreward.training.job import JOB, RESULT, TrainingJob, TrainingResult

_LOG = "training.log"


def train(job: TrainingJob, out: Path, on_step: Callable[[int, int], None]) -> TrainingResult:
    """Run the job in a child process; ``out/adapter`` holds what it made.

    Raises:
        TrainingError: the process failed, its loss was not a number, or no row was left to train on.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / JOB).write_text(job.model_dump_json(), encoding="utf-8")
    with (out / _LOG).open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "selfreward.training.child", str(out)],
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
    return TrainingResult.model_validate_json((out / RESULT).read_text(encoding="utf-8"))


def _failure(code: int, log: Path) -> str:
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
    hint = "; the machine may be out of memory: try a smaller micro_batch_size" if code == -9 else ""
    return f"the training process {how}{hint}. Its last words ({log}):\n" + "\n".join(last)
