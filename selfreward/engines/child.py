"""A process that works for this one and never outlives it, nor does anything that it starts."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_SECONDS_TO_END = 20.0
_SECONDS_TO_VANISH = 10.0
_LAST_LINES = 12
_LONGEST_LINE = 300
_ERROR = re.compile(r"(\b[\w.]*(?:Error|Exception): .+)")
_CONSEQUENCES = (
    *("EngineDeadError", "EngineGenerateError", "Engine core initialization failed"),
    *("WorkerProc initialization failed", "See root cause above", "See stack trace"),
)
"""How vLLM says that another of its processes has failed, and that the reason stands elsewhere."""


class Child:
    """``python -m MODULE``, spoken to over :attr:`connection`.

    It is the leader of a process group of its own, so that it can be ended with everything it started, and so that
    Ctrl-C reaches it through its parent alone. What it prints goes to the end of ``log``.
    """

    def __init__(self, module: str, log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
                start_new_session=True,
            )
        theirs.close()
        self.connection = Connection(ours.detach())

    @property
    def pid(self) -> int:
        """Of the child, and of its group."""
        return self._process.pid

    def send(self, message: Any) -> None:
        """Hand it a message; one that it did not live to read is lost, which reading will show."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(message)

    def end(self, *, at_once: bool = False) -> None:
        """End it and everything it started; returns when they are gone."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(OSError):
            self.connection.close()  # it takes this for its cue
        try:
            if not at_once:
                self._wait(_SECONDS_TO_END)
        finally:  # Ctrl-C does not save it. Before the child is reaped its number is no other group's.
            some = _signal_group(self.pid, signal.SIGKILL)
            self._process.wait()
        until = time.monotonic() + _SECONDS_TO_VANISH
        while some and _signal_group(self.pid, 0) and time.monotonic() < until:
            time.sleep(0.02)

    def last_words(self) -> str:
        """The end of what it printed."""
        return "\n".join(line[:_LONGEST_LINE] for line in self._printed()[-_LAST_LINES:])

    def cause(self) -> str:
        """The last error that it printed and that is not the consequence of another; empty where there is none."""
        found = [match[1] for line in self._printed() if (match := _ERROR.search(line))]
        causes = [line for line in found if not any(word in line for word in _CONSEQUENCES)]
        return causes[-1][:_LONGEST_LINE] if causes else ""

    def _printed(self) -> list[str]:
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            text = file.read().decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()]

    def how_it_ended(self) -> str:
        """``was killed by signal 9``, after :meth:`end`."""
        code = self._process.wait()
        return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"

    def _wait(self, seconds: float) -> None:
        """Until it ended, without reaping it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            time.sleep(0.02)


def _signal_group(group: int, number: int) -> bool:
    """Whether there was a process in the group to take the signal."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
