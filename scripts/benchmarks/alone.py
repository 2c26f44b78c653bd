"""One measurement in a process of its own: ``python -m benchmarks.alone NAME SETTING RESULT``, the last two as JSON."""

import importlib
import json
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


def measure_alone(name: str, setting: Setting) -> dict[str, Any]:
    """What a measurement gives, or the reason why it gave nothing; with its title."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="selfreward-bench-") as scratch:
        own, result = replace(setting, scratch=Path(scratch)), Path(scratch) / "result.json"
        words = [sys.executable, "-m", "benchmarks.alone", name, json.dumps(own.as_json()), str(result)]
        done = subprocess.run(words, env=environment(), check=False)
        if result.is_file():
            found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        else:
            found = {"title": title(name), "failed": f"its process ended with status {done.returncode}; see above"}
    return {**found, "seconds": round(time.monotonic() - begin, 1)}


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
    name, setting, result = arguments
    found = measure_here(name, Setting.from_json(json.loads(setting)))
    Path(result).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
