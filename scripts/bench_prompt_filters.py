"""How fast new prompts are held against earlier ones: python scripts/bench_prompt_filters.py [--earlier 1000 …]

Prompts are made up: word follows word as in this project's seeds (or the rows of --texts), and every third word is
one of 30,000 others, common ones more often. Every tenth new prompt is an earlier one with a single word changed.
"""

import argparse
import itertools
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfreward.stages.prompt_filters import FilterConfig, PromptFilter

SEEDS = Path(__file__).resolve().parent.parent / "seeds"
_OTHER_WORDS = 30_000
_LONGEST = 150


def measure(earlier: int, new: int, texts: Sequence[str] | None = None) -> dict[str, Any]:
    """Seconds and memory for ``new`` prompts against ``earlier`` ones, and what was decided."""
    choose = random.Random(0)
    known = make_prompts(earlier, texts or seed_instructions(), choose)
    asked = make_prompts(new, texts or seed_instructions(), choose)
    asked[::10] = [_one_word_changed(choose.choice(known), choose) for _ in asked[::10]]
    config = FilterConfig()
    start = time.perf_counter()
    prompts = PromptFilter(config, known)
    indexed = time.perf_counter()
    reasons = Counter(reason or "kept" for reason in prompts.drop_reasons(asked))
    return {
        "earlier": earlier,
        "new": new,
        "seconds": round(time.perf_counter() - start, 1),
        "of_these_to_index_the_earlier": round(indexed - start, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,  # it is in KiB on Linux
        **reasons,
    }


def seed_instructions() -> list[str]:
    """The instructions of this project's seeds."""
    return [row["instruction"] for name in ("ift", "eft") for row in _rows(SEEDS / f"{name}.jsonl")]


def make_prompts(count: int, texts: Sequence[str], choose: random.Random) -> list[str]:
    """Random texts of 3 to 150 words in which word follows word as in ``texts``."""
    after: dict[str, list[str]] = {}
    for text in texts:
        words = ["", *text.split(), ""]
        for word, following in itertools.pairwise(words):
            after.setdefault(word, []).append(following)
    made: list[str] = []
    while len(made) < count:
        words, word = [], choose.choice(after[""])
        while word and len(words) < _LONGEST:
            words.append(_other_word(choose) if choose.random() < 1 / 3 else word)
            word = choose.choice(after[word])
        if len(words) >= 3:
            made.append(" ".join(words))
    return made


def _other_word(choose: random.Random) -> str:
    return f"word{int(_OTHER_WORDS ** choose.random())}"  # the k-th commonest about 1/k as often as the first


def _one_word_changed(text: str, choose: random.Random) -> str:
    words = text.split()
    words[choose.randrange(len(words))] = _other_word(choose)
    return " ".join(words)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--earlier", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--new", type=int, default=20_000)
    parser.add_argument("--texts", type=Path, help="JSONL whose first text field replaces this project's seeds")
    options = parser.parse_args()
    texts = None
    if options.texts:
        texts = [next(v for v in row.values() if isinstance(v, str) and " " in v) for row in _rows(options.texts)]
    found = [measure(earlier, options.new, texts) for earlier in options.earlier]
    print(json.dumps(found, indent=1))
    for row in found:
        line = f"| {row['new']:,} against {row['earlier']:,} | {row['seconds']:g} s | {row['peak_mib']} MiB |"
        print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
