"""What is said of a run when it ends, and when it is checked."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which

from selfreward.config import RunConfig
from selfreward.diagnose import Diagnosis, diagnose
from selfreward.query.filters import STAGE_OF, ListOf
from selfreward.query.iterations import iteration_table
from selfreward.query.pairs import page_of_pairs
from selfreward.records import Frozen
from selfreward.storage.catalogue import RUNS_DIR
from selfreward.storage.iteration import MANIFEST
from selfreward.storage.overrides import OVERRIDES
from selfreward.storage.run import CONFIG, EVENTS, RUN, RunStore
from selfreward.storage.verify import verify


class Verified(Frozen):
    """What verification found."""

    path: str
    files: int
    """Files that were checked."""
    problems: tuple[str, ...]


def verified(path: Path) -> Verified:
    """A run with all its files checked."""
    problems = tuple(verify(path))
    return Verified(path=str(path), files=0 if problems else _file_count(path), problems=problems)


def _file_count(path: Path) -> int:
    run = RunStore(path)
    own = sum((path / name).exists() for name in (RUN, CONFIG, EVENTS, OVERRIDES))
    manifests = [run.iteration(t).manifest for t in run.iterations()]
    return own + len(manifests) + sum(len(stage.files) for m in manifests for stage in m.stages.values())


def where_and_what_next(config: RunConfig, run: RunStore, default_runs_dir: Path = Path(RUNS_DIR)) -> Iterator[str]:
    """Where everything is that the run made, and the commands that look at it or go on."""
    name = run.path.name if run.path.parent == default_runs_dir else str(run.path)
    rows = iteration_table(run)
    with_pairs = [row.iteration for row in rows if row.pairs]
    yield f"{run.path}: everything; {CONFIG} has every setting, {MANIFEST} of each iteration what it was made from"
    for row in rows:
        if row.weights:
            over = f"a PEFT adapter over {config.model.name}" if config.lora is not None else "a whole model"
            yield f"{row.weights}: {row.model}, {over}"
        if row.pairs:
            yield f"{run.path / f'iter-{row.iteration:03d}' / 'pairs'}: {row.pairs} preference pairs (Parquet)"
        if row.labelled:
            yield f"{run.path / f'iter-{row.iteration:03d}' / 'labelled'}: {row.labelled} labelled responses (Parquet)"
    if with_pairs:
        yield _flags(diagnose(run))
    if config.description:
        yield config.description
    yield "next:"
    command = _command()
    if with_pairs:
        (best,) = page_of_pairs(run, with_pairs[-1], limit=1).rows
        yield f"  {command} pairs {name} -i {with_pairs[-1]}"
        yield f"  {command} show {name} {best.id}"
        yield f"  {command} diagnose {name}"
    yield f"  {command} verify {name}"
    yield f"  {command} run {name} -n {config.iterations + 2}"


def _flags(found: Diagnosis) -> str:
    where = [found for found in found.iterations if found.flagged]
    if not where:
        return "diagnosis: no figure is beyond its limit"
    each = ", ".join(f"{len(found.flagged)} in iteration {found.iteration}" for found in where)
    figures = "1 figure deserves" if found.flags == 1 else f"{found.flags} figures deserve"
    return f"diagnosis: {figures} a look ({each}); `diagnose`, below, says which and what to try"


def prompt_yield(run: RunStore, iteration: int, of: ListOf = "responses") -> str:
    """How many pairs or labelled responses came of how many prompts, and why the others gave none."""
    entry = run.iteration(iteration).manifest.stages[STAGE_OF[of]]
    reasons = [
        f"{what.removeprefix('drop.')} {n}" for what, n in entry.counts.items() if what.startswith("drop.") and n
    ]
    why = f" (none for the others: {', '.join(reasons)})" if reasons else ""
    return f"{entry.rows} {_LISTED[of]} from {entry.inputs_done} prompts{why}"


_LISTED: dict[ListOf, str] = {
    "responses": "pairs",
    "judgments": "pairs of judgments",
    "labelled": "labelled responses",
}


def _command() -> str:
    """How this very program is called from here: its name where that is found, else its place."""
    called = Path(sys.argv[0])
    if which("selfreward") or called.name != "selfreward":
        return "selfreward"
    return os.path.relpath(called)
