"""One measurement in a process of its own: ``python -m benchmarks.alone NAME SETTING RESULT``, the last two as JSON."""

import importlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import MEASUREMENTS
from benchmarks.measured import Absent, Setting, environment

_SECONDS_TO_END = 30.0


def measure_alone(name: str, setting: Setting) -> dict[str, Any]:
    """What a measurement gives, or the reason why it gave nothing; with its title."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="selfreward-bench-") as scratch:
        own, result = replace(setting, scratch=Path(scratch)), Path(scratch) / "result.json"
        words = [sys.executable, "-m", "benchmarks.alone", name, json.dumps(own.as_json()), str(result)]
        with subprocess.Popen(words, env=environment()) as process:
            reason = _wait(process, setting.seconds_left())
        if result.is_file():
            found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        else:
            found = {"title": title(name), "failed": reason}
    return {**found, "seconds": round(time.monotonic() - begin, 1)}


def _wait(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Until it ended, if need be by being told to; how it ended."""
    try:
        status = process.wait(None if seconds == float("inf") else max(0.0, seconds))
    except subprocess.TimeoutExpired:
        process.terminate()  # it ends its engines then
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
        return "was not done in time"
    return f"its process ended with status {status}; see above"


def title(name: str) -> str:
    """What a measurement says of itself."""
    return str(importlib.import_module(MEASUREMENTS[name]).TITLE)


def measure_here(name: str, setting: Setting) -> dict[str, Any]:
    """A measurement in this process."""
    try:
        found: Mapping[str, Any] = importlib.import_module(MEASUREMENTS[name]).measure(setting).as_json()
    except Absent as absent:
        found = {"skipped": str(absent)}
    return {"title": title(name), **found}


def main(arguments: list[str]) -> int:
    """For :func:`measure_alone`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    name, setting, result = arguments
    found = measure_here(name, Setting.from_json(json.loads(setting)))
    Path(result).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
