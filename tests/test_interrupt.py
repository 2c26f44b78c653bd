"""Ctrl-C and SIGTERM in the middle of training: a clear end, no process left, and everything finished verifies."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from selfreward.storage.verify import verify

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_stopped_while_training(
    make_recipe: Callable[..., Path], tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    recipe = make_recipe(tmp_path, sft={"epochs": 1000, "batch_size": 1})
    run = subprocess.Popen(
        [sys.executable, "-m", "selfreward.cli", "run", str(recipe)], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert run.stderr is not None
    said = ""
    while "examples:" not in said:
        line = run.stderr.readline()
        assert line, said
        said += line
    trainers: list[psutil.Process] = []
    while not trainers:
        assert run.poll() is None
        trainers = psutil.Process(run.pid).children()
    run.send_signal(sent)
    _, rest = run.communicate(timeout=120)
    assert run.returncode == code
    assert "Traceback" not in rest
    if sent == signal.SIGINT:
        assert "the same command goes on from there" in rest
    _, alive = psutil.wait_procs(trainers, timeout=60)
    assert alive == []
    assert verify(tmp_path / "runs" / "tiny") == []
