"""How fast `selfreward seeds import` is, and how much memory it takes: a file is made, imported and removed.

python scripts/bench_seeds_import.py [--mb 1000] [--format alpaca|messages|ranked|oasst] [--dir DIR]
"""

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfreward.cli import main as selfreward

_WORDS = (
    "die",
    "straße",
    "of",
    "water",
    "seven",
    "λόγος",
    "prompt",
    "answer",
    "because",
    "猫",
    "model",
    "reward",
    "🙂",
    "is",
)


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words))


def _rows(form: str, rng: random.Random) -> Iterator[dict[str, Any]]:
    number = 0
    while True:
        number += 1
        prompt, words = f"{number}: {_text(rng, 30)}", _text(rng, 150)
        if form == "alpaca":
            yield {"instruction": prompt, "input": "", "output": words}
        elif form == "messages":
            turns = (
                ("system", "Be brief."),
                ("user", prompt),
                ("assistant", words[:400]),
                ("user", "Go on."),
                ("assistant", words[400:]),
            )
            yield {"messages": [{"role": role, "content": content} for role, content in turns]}
        elif form == "ranked":
            for i in range(4):
                yield {"prompt_id": str(number), "prompt": prompt, "response": f"{i} {words}", "quality": rng.random()}
        else:
            yield {"message_id": f"q{number}", "parent_id": None, "role": "prompter", "text": prompt, "rank": None}
            for i in range(4):
                answer = {"message_id": f"a{number}-{i}", "parent_id": f"q{number}", "role": "assistant"}
                yield {**answer, "text": f"{i} {words}", "rank": i}


def make(path: Path, form: str, megabytes: int) -> None:
    """Write rows until the file is as large as asked."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for row in _rows(form, rng):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            if file.tell() >= megabytes * 1_000_000:
                return


def main() -> int:
    """Make the file in a child process, so that what it takes does not count; import it in this one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--format", default="alpaca", choices=("alpaca", "messages", "ranked", "oasst"))
    parser.add_argument("--dir", default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        source, output = Path(directory) / "source.jsonl", Path(directory) / "out.jsonl"
        child = os.fork()
        if not child:
            make(source, options.format, options.mb)
            os._exit(0)
        os.waitpid(child, 0)
        began, cpu = time.perf_counter(), time.process_time()
        code = selfreward(["seeds", "import", str(source), "--as", "ift", "-o", str(output)])
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        size = source.stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = f"{size / cpu:.1f} MB/s of CPU time ({seconds:.1f} s by the clock)"
    print(f"{options.format}: {size:.0f} MB in {cpu:.1f} s, {rate}")
    print(f"largest resident size: {peak:.0f} MiB")
    return code


if __name__ == "__main__":
    sys.exit(main())
