"""How long `selfreward seeds check` takes on many made-up rows: python scripts/bench_seed_check.py [--rows 100000]"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench_prompt_filters import SEEDS, make_prompts, seed_instructions

_TEXTS_OF_A_RESPONSE = {"ift": 3, "eft": 2}
"""How many made-up texts make a response."""


def measure(kind: str, rows: int) -> dict[str, Any]:
    """CPU seconds and memory of a check of ``rows`` rows, as a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"{kind}.jsonl"
        write_rows(path, kind, rows)
        command = [sys.executable, "-m", "selfreward.cli", "seeds", "check", str(path)]
        subprocess.run([*command, "--against", str(SEEDS / "ift.jsonl")], check=True, stdout=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "kind": kind,
            "rows": rows,
            "megabytes": round(path.stat().st_size / 1e6),
            "cpu_seconds": round(used.ru_utime + used.ru_stime),
            "peak_mib": used.ru_maxrss // 1024,  # it is in KiB on Linux
        }


def write_rows(path: Path, kind: str, rows: int) -> None:
    """Made-up seeds; four EFT rows share an instruction."""
    choose = random.Random(0)
    seeds = [json.loads(line) for line in (SEEDS / "ift.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = make_prompts(3_000, [seed["response"] for seed in seeds], choose)
    instructions = make_prompts(rows if kind == "ift" else -(-rows // 4), seed_instructions(), choose)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            response = " ".join(choose.sample(texts, _TEXTS_OF_A_RESPONSE[kind]))
            row: dict[str, Any] = {"instruction": instructions[number if kind == "ift" else number // 4]}
            row |= {"response": response}
            if kind == "eft":
                row |= {"rationale": choose.choice(texts), "score": choose.randrange(6)}
            file.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kind", choices=["ift", "eft"], default="ift")
    options = parser.parse_args()
    found = measure(options.kind, options.rows)
    print(json.dumps(found, indent=1))
    size = f"{found['rows']:,} {found['kind'].upper()} rows, {found['megabytes']} MB"
    print(f"| {size} | {found['cpu_seconds']} s | {found['peak_mib']} MiB |", file=sys.stderr)


if __name__ == "__main__":
    main()
