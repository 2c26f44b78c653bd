"""Measure what docs/benchmarks.md has figures on: ``scripts/bench.py [NAME …]``, all of them where none is named.

Prints a table and writes one JSON file with everything that went into it. What cannot be measured on this machine is
passed over with the reason. Ends with status 1 where a measurement failed, not where a figure was not reached.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import MEASUREMENTS
from benchmarks.alone import measure_alone, title
from benchmarks.machine import describe
from benchmarks.measured import Setting
from benchmarks.report import table
from selfreward.builtin_model import BUILTIN_NAME
from selfreward.errors import SelfRewardError
from selfreward.models import resolve_model


def main(arguments: list[str]) -> int:
    """The exit status."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(f"{name:10s} {title(name)}" for name in MEASUREMENTS))
        return 0
    try:
        resolve_model(options.model)
    except SelfRewardError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    setting = Setting(options.model, Path(), tiny=options.tiny, repeats=options.repeats)
    report = measure_all(options.names or list(MEASUREMENTS), setting)
    report["command"] = " ".join(["scripts/bench.py", *arguments])
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(report["measurements"]))
    print(f"\n{options.json}")
    return int(any("failed" in found for found in report["measurements"].values()))


def measure_all(names: list[str], setting: Setting) -> dict[str, Any]:
    """One after the other, each in a process of its own."""
    report: dict[str, Any] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": setting.model,
        "tiny": setting.tiny,
        "machine": describe(),
        "measurements": {},
    }
    for name in names:
        print(f"bench: {name}: {title(name)} …", file=sys.stderr, flush=True)
        report["measurements"][name] = measure_alone(name, setting)
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench.py", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *MEASUREMENTS], help="what to measure")
    parser.add_argument("--list", action="store_true", help="say what there is to measure")
    parser.add_argument("--model", default=BUILTIN_NAME, help="as in a recipe (default: the builtin one)")
    parser.add_argument("--repeats", type=int, help="rounds of each comparison")
    parser.add_argument("--tiny", action="store_true", help="seconds instead of minutes; the figures mean nothing then")
    parser.add_argument(
        "--json", type=Path, default=Path("bench.json"), help="the file to write (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
