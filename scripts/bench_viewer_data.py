"""Make a run that is large enough to measure the web page and the queries behind it.

``scripts/bench_viewer_data.py DIRECTORY [--candidates 100000] [--iterations 2]`` puts it into DIRECTORY, through the
real steps and the real storage, with a stub for the engine: four candidates a prompt of five to nine sentences each,
three judgments a candidate with rationales. Every iteration answers the same prompts; none is trained.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.pipeline import make_iteration, recipe, stubbed_session
from selfreward.builtin_model import BUILTIN_NAME


def main(arguments: list[str]) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="scripts/bench_viewer_data.py", description=__doc__)
    parser.add_argument("directory", type=Path, help="a runs directory")
    parser.add_argument("--candidates", type=int, default=100_000, help="an iteration (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=2, help="default: %(default)s")
    options = parser.parse_args(arguments)
    options.directory.mkdir(parents=True, exist_ok=True)
    config = recipe(BUILTIN_NAME, options.directory, options.candidates, options.iterations)
    session = stubbed_session(config)
    for t in range(1, options.iterations + 1):
        make_iteration(session, t)
        print(f"{config.run_dir}: iteration {t} is made", file=sys.stderr, flush=True)
    print(config.run_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
