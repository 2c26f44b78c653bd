"""The web page over a run of 100,000 judged candidates: how long each page takes, and how much memory the server.

The server is a process of its own, started as `selfreward view` does. Each kind of page is asked for 200 times, one
request after the other, with another filter, order, place or pair each time; the first answer, which makes the tables
of an iteration, is timed apart. ``python -m benchmarks.viewer RUNS_DIR [REQUESTS]`` measures a run that is there
already (``scripts/bench_viewer_data.py`` makes one of any size) and prints JSON.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.measured import Figure, Measured, Setting, environment
from benchmarks.pipeline import make_iteration, recipe, stubbed_session
from selfreward.storage.catalogue import run_paths

TITLE = "pages over 100,000 judged candidates: time of an answer, memory of the server"
_CANDIDATES, _TINY_CANDIDATES = 100_000, 48
_REQUESTS, _TINY_REQUESTS = 200, 5
_MOST_MS, _MOST_GIB = 150.0, 1.0
_SORTS = (
    "margin",
    "chosen_score",
    "rejected_score",
    "variance",
    "length",
    "length_difference",
    "length_ratio",
    "prompt",
)
_WORDS = ("the", "which", "question 7", "because", "no such words", "first", "água", "however")
_FLAGS = ("injection", "length", "refusal", "repetition", "near_identical")


def measure(setting: Setting) -> Measured:
    """Makes the run, then asks for its pages."""
    config = recipe(setting.model, setting.scratch, _TINY_CANDIDATES if setting.tiny else _CANDIDATES, 2)
    session = stubbed_session(config)
    for t in (1, 2):
        make_iteration(session, t)
    session.close()
    found = ask_all(setting.scratch, _TINY_REQUESTS if setting.tiny else _REQUESTS)
    figures = [
        Figure(f"{kind}: p95 of {page['requests']}", page["p95_ms"], "ms", _MOST_MS, "at most")
        for kind, page in found["pages"].items()
    ]
    figures.append(Figure("peak resident memory of the server", found["peak_gib"], "GiB", _MOST_GIB, "at most"))
    figures.append(Figure("slowest first answer", max(p["first_ms"] for p in found["pages"].values()), "ms"))
    return Measured(figures, found)


def ask_all(runs_dir: Path, requests: int) -> dict[str, Any]:
    """Times of every kind of page of the first run in a directory, and the server's memory."""
    import httpx2

    (run, *_) = run_paths(runs_dir)
    with _server(runs_dir) as (home, process), httpx2.Client(base_url=home, timeout=600.0) as client:
        ids = re.findall(r"/pairs/(pair-\w+)", _get(client, f"/runs/{run.name}/1/pairs?sort=order"))
        kinds = _kinds(run.name, len(list(run.glob("iter-*"))) - 1, sorted(set(ids)))
        pages = {kind: _times(client, process.pid, address, requests) for kind, address in kinds.items()}
        peak = _peak_gib(process.pid)
    return {"run": run.name, "pages": pages, "peak_gib": peak}


def _kinds(run: str, iterations: int, ids: list[str]) -> Mapping[str, Callable[[int], str]]:
    """By kind of page the address of its n-th request; a run of one iteration is compared with itself."""
    pairs = f"/runs/{run}/1/pairs"
    return {
        "runs": lambda n: "/",
        "a run": lambda n: f"/runs/{run}",
        "progress": lambda n: f"/runs/{run}/progress",
        "an iteration": lambda n: f"/runs/{run}/{1 + n % iterations}",
        "pairs, sorted": lambda n: f"{pairs}?sort={_SORTS[n % 8]}&ascending={n // 8 % 2}&offset={50 * (n // 16)}",
        "pairs, filtered": lambda n: (
            f"{pairs}?min_margin={n / 200}&max_length_ratio={2 + n / 100}&sort={_SORTS[n % 8]}"
        ),
        "pairs, with flags": lambda n: f"{pairs}?flags={_FLAGS[n % 5]}&min_chosen={n / 100}&sort={_SORTS[n % 8]}",
        "pairs, searched": lambda n: f"{pairs}?text={_WORDS[n % 8]}&min_margin={n / 500}",
        "a pair": lambda n: f"{pairs}/{ids[n % len(ids)]}?sort={_SORTS[n % 8]}",
        "compared": lambda n: f"/compare?run={run}&t=1&other={run}&u={iterations}&offset={50 * (n % 100)}",
    }


def _times(client: Any, server: int, address: Callable[[int], str], requests: int) -> dict[str, Any]:
    first = _milliseconds(client, address(0))
    busy = _cpu_ms(server)
    rest = [_milliseconds(client, address(n)) for n in range(1, requests + 1)]
    busy = _cpu_ms(server) - busy
    p95 = quantiles(rest, n=20, method="inclusive")[-1]
    times = {"p50_ms": quantiles(rest, n=2)[0], "p95_ms": p95, "most_ms": max(rest), "first_ms": first}
    times["cpu_ms"] = busy / requests
    return {"requests": requests, **{name: round(value, 1) for name, value in times.items()}}


def _cpu_ms(pid: int) -> float:
    """Processor time that a process has had, which says more than the clock where others work on the machine."""
    user, system = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * 1000 / os.sysconf("SC_CLK_TCK")


def _milliseconds(client: Any, path: str) -> float:
    begin = time.perf_counter()
    _get(client, path)
    return (time.perf_counter() - begin) * 1000


def _get(client: Any, path: str) -> str:
    answer = client.get(path)
    answer.raise_for_status()
    return str(answer.text)


@contextmanager
def _server(runs_dir: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`selfreward view` and its address, which it prints when it listens."""
    words = [sys.executable, "-m", "selfreward.cli", "view", str(runs_dir), "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().split()[-1], process
        finally:
            process.terminate()


def _peak_gib(pid: int) -> float:
    """Linux only, like the rest of the figures' machine."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return round(int(kib) / 2**20, 3)


if __name__ == "__main__":
    asked = int(sys.argv[2]) if len(sys.argv) > 2 else _REQUESTS
    print(json.dumps(ask_all(Path(sys.argv[1]), asked), indent=1))
