"""`selfreward view` as a process of its own, and what it refuses."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from fixture_run import Command

from selfreward.storage.run import RunStore

PACKAGE = Path(__file__).resolve().parent.parent.parent


def start(runs_dir: Path, *options: str, **environ: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "selfreward.cli", "view", str(runs_dir), "--port", "0", *options]
    known = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
    env = known | {"PYTHONPATH": str(PACKAGE)} | environ
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=env)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline().rstrip()


def test_page_is_served_until_ctrl_c(finished_run: RunStore) -> None:
    with start(finished_run.path.parent, SSH_CONNECTION="10.0.0.9 5000 10.0.0.5 22") as process:
        address = line(process).split()[-1]
        assert address.startswith("http://127.0.0.1:")
        said = [line(process) for _ in range(3)]
        assert "small" in httpx2.get(address).text
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    port = address.rstrip("/").rpartition(":")[2]
    assert any(f"ssh -N -L {port}:127.0.0.1:{port} " in one and "@10.0.0.5" in one for one in said)
    assert process.returncode in (0, 130)
    assert "Traceback" not in rest


def test_other_address_asks_for_the_printed_token(finished_run: RunStore) -> None:
    with start(finished_run.path.parent, "--host", "0.0.0.0") as process:
        address = line(process).split()[-1]
        port = address.split(":")[2].split("/")[0]
        home = f"http://127.0.0.1:{port}/"
        assert httpx2.get(home).status_code == 401
        with httpx2.Client(follow_redirects=True) as client:
            assert "small" in client.get(home + address.rpartition("/")[2]).text
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "nowhere: no such directory"),
        (("runs/small",), "is one run; show the directory that it is in: selfreward view runs"),
        (("runs", "--host", "192.0.2.1"), "cannot be listened on"),
    ],
)
def test_what_cannot_be_served_is_said(
    command: Command, finished_run: RunStore, arguments: tuple[str, ...], words: str
) -> None:
    code, _, err = command("view", *arguments)
    assert code == 1
    assert words in err
