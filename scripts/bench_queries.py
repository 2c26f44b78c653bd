"""Measure the questions behind the web page: ``scripts/bench_queries.py RUN_DIRECTORY [--requests 200]``.

The run is one that ``scripts/bench_viewer_data.py`` made. Each kind of question is asked so many times, every time with
another filter, order, page or pair; the tables in memory are made before, and how long that takes is said apart.
Prints milliseconds and the most memory that the process has held. What the page adds for HTML is not in it.
"""

import argparse
import random
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median, quantiles

from selfreward.diagnosis.pair_flags import PAIR_FLAGS
from selfreward.query.compare import compare
from selfreward.query.facts import iteration_facts
from selfreward.query.iterations import iteration_table
from selfreward.query.lineage import lineage
from selfreward.query.pair import pair_view
from selfreward.query.pairs import PAIR_SORTS, PairFilter, neighbours, page_of_pairs
from selfreward.storage.run import RunStore

_WORDS = ("water", "the answer", "score", "python", "never there at all")
Question = Callable[[random.Random], object]


def questions(path: Path, pairs: int) -> Mapping[str, Question]:
    """By name; each opens the run anew, as a request does."""

    def where(draw: random.Random, **more: object) -> PairFilter:
        return PairFilter(min_margin=draw.random(), max_length_ratio=1 + draw.random(), **more)  # type: ignore[arg-type]

    def page(draw: random.Random, **more: object) -> object:
        offset = draw.randrange(pairs // 4)
        return page_of_pairs(
            RunStore(path), 1, where(draw, **more), draw.choice(PAIR_SORTS), draw.random() < 0.5, offset
        )

    def a_pair(draw: random.Random) -> str:
        return page_of_pairs(RunStore(path), 1, offset=draw.randrange(pairs), limit=1).rows[0].id

    return {
        "pairs, filtered and sorted": page,
        "pairs with a flag": lambda draw: page(draw, flags=(draw.choice(PAIR_FLAGS),)),
        "pairs with a text": lambda draw: page(draw, text=draw.choice(_WORDS)),
        "one pair": lambda draw: pair_view(RunStore(path), 1, a_pair(draw)),
        "its neighbours": lambda draw: neighbours(RunStore(path), 1, a_pair(draw), where(draw)),
        "an iteration": lambda draw: iteration_facts(RunStore(path), 1),
        "a run": lambda draw: (iteration_table(RunStore(path)), lineage(RunStore(path))),
        "two iterations": lambda draw: compare((RunStore(path), 1), (RunStore(path), 2), draw.randrange(pairs)),
    }


def main(arguments: list[str]) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="scripts/bench_queries.py", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--requests", type=int, default=200, help="of each kind (default: %(default)s)")
    options = parser.parse_args(arguments)
    entry = RunStore(options.run).iteration(1).manifest.stages
    print(
        f"{entry['responses'].rows:,} candidates, {entry['judgments'].rows:,} judgments, {entry['pairs'].rows:,} pairs"
    )
    draw = random.Random(0)
    print(f"{'milliseconds':28s} {'first':>8s} {'median':>8s} {'p95':>8s} {'processor, median':>18s}")
    for name, ask in questions(options.run, entry["pairs"].rows).items():
        first, _ = _timed(ask, draw)
        taken = [_timed(ask, draw) for _ in range(options.requests)]
        wall, cpu = [one for one, _ in taken], [one for _, one in taken]
        p95 = quantiles(wall, n=20)[-1]
        print(f"{name:28s} {first:8.0f} {median(wall):8.1f} {p95:8.1f} {median(cpu):18.1f}", flush=True)
    print(f"most resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB")
    return 0


def _timed(ask: Question, draw: random.Random) -> tuple[float, float]:
    """Milliseconds on the clock, and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    ask(draw)
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
