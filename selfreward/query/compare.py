"""Two iterations beside each other, of one run or of two: prompts that both answered, and how everything spreads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfreward.query.database import LOCK, ask
from selfreward.query.histograms import Histogram, histogram
from selfreward.query.index import Index
from selfreward.query.iterations import IterationRow, iteration_row
from selfreward.query.kept import iteration, kept
from selfreward.records import Frozen
from selfreward.storage.iteration import IterationStore
from selfreward.storage.manifest import Manifest
from selfreward.storage.run import RunStore

_SHARED = """
    SELECT a.text AS prompt, a.id AS first_prompt_id, b.id AS second_prompt_id, a.score AS first_score,
           b.score AS second_score, b.score - a.score AS difference, a.best AS first_best, b.best AS second_best,
           a.tokens AS first_tokens, b.tokens AS second_tokens
    FROM {first} a JOIN {second} b ON a.text = b.text"""


class Side(Frozen):
    """One of the two."""

    run: str
    """The run's name."""
    path: str
    row: IterationRow


class Shared(Frozen):
    """A prompt that both answered; scores and lengths are means over each side's scored candidates."""

    prompt: str
    first_prompt_id: str
    second_prompt_id: str
    first_score: float
    second_score: float
    difference: float
    """Second minus first: below zero it got worse."""
    first_best: float
    second_best: float
    first_tokens: float
    second_tokens: float


class Compared(Frozen):
    """The first iteration and the second one."""

    first: Side
    second: Side
    rows: tuple[Shared, ...]
    """Prompts that both answered, by their text, the one that got worst first."""
    total: int
    """How many there are, on this page or not."""
    offset: int
    worse: int
    better: int
    same: int
    mean_difference: float | None
    """Over all of them; None where there are none."""
    scores: Histogram
    """Of all candidates, the first iteration's and the second's over one another."""
    lengths: Histogram
    """The same in tokens."""
    margins: Histogram
    """The same of pairs."""
    comparable: bool
    """Whether both were judged by the same rubric and method; else their scores are on scales of their own, as those of
    a mix are, which are in standard deviations of an iteration's own candidates."""
    judged: bool
    """Whether both have scores at all; prompts are compared by them."""


def compare(
    first: tuple[RunStore, int], second: tuple[RunStore, int], offset: int = 0, limit: int | None = 50
) -> Compared:
    """Two iterations; prompts are joined by their text.

    Raises:
        StoreError: there is no such iteration, or a file is missing or damaged.
    """
    its = [iteration(run, t) for run, t in (first, second)]
    with LOCK:
        sides = [Index(it).derived("prompted") for it in its]
        shared = _SHARED.format(first=sides[0], second=sides[1])
        rows = ask(f"{shared} ORDER BY difference, prompt LIMIT $most OFFSET $start", most=limit, start=offset)
        whole = kept(its[0], f"beside {its[1].path}", lambda: _whole(its, shared), its[1])
    return Compared(
        first=_side(*first),
        second=_side(*second),
        rows=tuple(Shared.model_validate(row) for row in rows),
        offset=offset,
        comparable=_one_scale(*(it.manifest for it in its)),
        judged=all(it.stage("judgments") is not None for it in its),
        **whole,
    )


def _whole(its: Sequence[IterationStore], shared: str) -> dict[str, Any]:
    """What does not depend on the page."""
    (sums,) = ask(
        f"""SELECT count(*) AS total, count(*) FILTER (difference < 0) AS worse,
            count(*) FILTER (difference > 0) AS better, count(*) FILTER (difference = 0) AS same,
            avg(difference) AS mean_difference FROM ({shared})"""
    )
    indexes = [Index(it) for it in its]
    judged = [f"(FROM {index.derived('candidates')} WHERE NOT initial)" for index in indexes]
    margins = histogram([index.derived("listed") for index in indexes], "margin")
    return {**sums, "scores": histogram(judged, "score"), "lengths": histogram(judged, "tokens"), "margins": margins}


def _side(run: RunStore, t: int) -> Side:
    return Side(run=run.path.name, path=str(run.path), row=iteration_row(run, t))


def _one_scale(first: Manifest, second: Manifest) -> bool:
    one, other = _judged_by(first), _judged_by(second)
    return one == other and one["type"] != "mix"


def _judged_by(manifest: Manifest) -> dict[str, Any]:
    judge = manifest.config.get("judge") or {}
    rubrics = {name: hash for name, hash in manifest.templates.items() if name.startswith("judge.")}
    return {"type": (judge.get("method") or {}).get("type"), **rubrics}
