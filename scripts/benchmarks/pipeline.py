"""Everything outside engine and trainer (templates, parsing, pairs, store) on one core, with a stub for the engine.

Each size is a run of its own in a fresh process: prompts from a file, four responses each, three sampled judgments a
response, pairs, metrics, all through the real steps and the real store. Loading the tokenizer is not counted.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measured import Figure, Measured, Setting, environment
from benchmarks.stub_engine import StubEngine, judgment_writer, response_writer
from selfreward import steps
from selfreward.config import RunConfig, make_config
from selfreward.engines.loading import ModelConfig, eos_ids
from selfreward.engines.protocol import Engine
from selfreward.progress import Advance, Reporter
from selfreward.resources import find
from selfreward.seeding.own_format import read_ift
from selfreward.session import Policy, Session
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore

TITLE = "everything outside engine and trainer, engine stubbed, one core"
_SIZES = (10_000, 30_000, 100_000)
_TINY_SIZES = (24, 48)
_N, _SAMPLES = 4, 3
_MOST_SECONDS, _MOST_GIB = 60.0, 2.0
_MOST_GROWTH = 1.2
"""Time per response at the largest size over that at the smallest: what is left of 1 for noise."""
_RESPONSE_TOKENS, _JUDGMENT_TOKENS = 512, 256
_UNREADABLE = 0.02
_STAGES = ("prompts", "responses", "judgments", "pairs", "metrics")


class _Silent(Reporter):
    def say(self, text: str) -> None:
        """Nobody reads it."""

    @contextmanager
    def stage(self, title: str, total: int, done: int) -> Iterator[Advance]:
        """Nobody looks."""
        yield lambda completed: None


class _StubbedSession(Session):
    stub: Engine

    def engine(self, policy: Policy) -> Engine:
        return self.stub


def measure(setting: Setting) -> Measured:
    """All sizes, one after the other."""
    sizes = _TINY_SIZES if setting.tiny else _SIZES
    runs = [_in_fresh_process(setting, responses) for responses in sizes]
    first, last = runs[0], runs[-1]
    named = f"{last['responses']:,} responses"
    growth = (last["seconds"] / last["responses"]) / (first["seconds"] / first["responses"])
    figures = [
        *(Figure(f"{r['responses']:,} responses: time", r["seconds"], "s") for r in runs[:-1]),
        Figure(f"{named}: time", last["seconds"], "s", _MOST_SECONDS, "at most"),
        Figure(f"{named}: peak resident memory", last["peak_gib"], "GiB", _MOST_GIB, "at most"),
        Figure(f"{named}: time per response, over {first['responses']:,}'s", growth, "x", _MOST_GROWTH, "at most"),
    ]
    return Measured(figures, {"n": _N, "judgments_per_response": _SAMPLES, "runs": runs})


def _in_fresh_process(setting: Setting, responses: int) -> dict[str, Any]:
    """One core, and a peak of memory that is no other size's."""
    words = [sys.executable, "-m", "benchmarks.pipeline", setting.model, str(setting.scratch), str(responses)]
    done = subprocess.run(
        words,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**environment(), "TOKENIZERS_PARALLELISM": "false"},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(model: str, directory: Path, responses: int) -> dict[str, Any]:
    """One size, in this process."""
    session = stubbed_session(recipe(model, directory, responses))
    stub, tokens = session.stub, session.chat  # loads the tokenizer
    assert isinstance(stub, StubEngine)
    assert tokens is stub.chat
    begin, cpu = time.perf_counter(), time.process_time()
    it = make_iteration(session, 1)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    session.close()
    entries = it.manifest.stages
    answers = entries["responses"]
    return {
        "responses": answers.rows,
        "judgments": entries["judgments"].rows,
        "pairs": entries["pairs"].rows,
        "counts": dict(entries["pairs"].counts),
        "response_tokens": round(answers.counts["tokens.generated"] / answers.rows, 1),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "stub_seconds": round(stub.seconds, 2),
        "stage_seconds": {name: entries[name].seconds for name in _STAGES},
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "stored_mib": round(sum(p.stat().st_size for p in it.path.rglob("*.parquet")) / 2**20, 1),
    }


def make_iteration(session: Session, t: int) -> IterationStore:
    """Everything of one iteration but its training."""
    root = Policy.root(f"M{t}")
    it = steps.begin_iteration(session, t)
    prompts = steps.write_prompts(session, it, root)
    answers = steps.write_responses(session, it, root, prompts)
    judgments = steps.judge_responses(session, it, root, prompts, answers)
    steps.build_pairs(session, it, prompts, answers, judgments, steps.Asked())
    steps.finish_iteration(session, it)
    return it


def recipe(model: str, directory: Path, responses: int, iterations: int = 1) -> RunConfig:
    """So many responses an iteration; every iteration answers the same prompts."""
    prompts = directory / f"prompts-{responses}.jsonl"
    _write_prompts(prompts, responses // _N, iterations)
    data = {
        "name": f"pipeline-{responses}",
        "runs_dir": str(directory),
        "iterations": iterations,
        "model": model,
        "engine": {"type": "transformers"},
        "prompts": {"file": str(prompts), "count": responses // _N},
        "responses": {"n": _N, "max_tokens": _RESPONSE_TOKENS},
        "judge": {"method": {"type": "sampled", "samples": _SAMPLES, "max_tokens": _JUDGMENT_TOKENS}},
    }
    return make_config(data, {}, "bench")


def _write_prompts(path: Path, count: int, times: int) -> None:
    known = [seed.instruction for seed in read_ift(find("seeds", "ift.jsonl"))]
    rows = (f"{known[i % len(known)]} (Question {i // len(known) + 1}.)" for i in range(count))
    path.write_text("".join(json.dumps({"prompt": row}) + "\n" for row in rows) * times, encoding="utf-8")


def stubbed_session(config: RunConfig) -> _StubbedSession:
    """A new run with the stub for its engine, after iteration 0."""
    config.run_dir.mkdir(parents=True)
    session = _StubbedSession(config, RunStore.create(config.run_dir), _Silent())
    eft = find("seeds", "eft.jsonl")
    end = eos_ids(ModelConfig(name=config.model.name), session.chat)[0]
    writers = {
        _RESPONSE_TOKENS: response_writer(session.chat, eft, end),
        _JUDGMENT_TOKENS: judgment_writer(eft, _UNREADABLE),
    }
    session.stub = StubEngine(session.chat, session.context, writers)
    _store_first_iteration(session)
    return session


def _store_first_iteration(session: Session) -> None:
    first = steps.begin_iteration(session, 0)
    steps.store_seeds(session, first)
    steps.finish_iteration(session, first)


def main(arguments: list[str]) -> int:
    """``MODEL DIRECTORY RESPONSES``; prints what was measured as one line of JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    model, directory, responses = arguments
    print(json.dumps(run(model, Path(directory), int(responses))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
