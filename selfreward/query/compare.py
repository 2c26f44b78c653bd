"""Two iterations beside each other, of one run or of two: prompts that both answered, and how everything spreads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfreward.query.database import LOCK, ask
from selfreward.query.histograms import Histogram, histogram
from selfreward.query.index import Index
from selfreward.query.iterations import IterationRow, iteration_row
from selfreward.records import Frozen
from selfreward.storage.run import RunStore

_BY_PROMPT = """
    (SELECT p.text, any_value(p.id) AS id, count(c.score) AS candidates, avg(c.score) AS score, max(c.score) AS best,
            avg(c.tokens) AS tokens
     FROM {prompts} p JOIN {candidates} c ON c.prompt_id = p.id
     WHERE NOT c.initial AND c.score IS NOT NULL GROUP BY p.text)"""
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
    """Whether both were judged by the same rubric and method; else their scores are on scales of their own."""


def compare(
    first: tuple[RunStore, int], second: tuple[RunStore, int], offset: int = 0, limit: int | None = 50
) -> Compared:
    """Two iterations; prompts are joined by their text.

    Raises:
        StoreError: there is no such iteration, or a file is missing or damaged.
    """
    its = [run.iteration(t) for run, t in (first, second)]
    with LOCK:
        indexes = [Index(it) for it in its]
        candidates = [index.derived("candidates") for index in indexes]
        judged = [f"(FROM {table} WHERE NOT initial)" for table in candidates]
        sides = [
            _BY_PROMPT.format(prompts=index.stage("prompts"), candidates=table)
            for index, table in zip(indexes, candidates, strict=True)
        ]
        shared = _SHARED.format(first=sides[0], second=sides[1])
        (sums,) = ask(
            f"""SELECT count(*) AS total, count(*) FILTER (difference < 0) AS worse,
                count(*) FILTER (difference > 0) AS better, count(*) FILTER (difference = 0) AS same,
                avg(difference) AS mean_difference FROM ({shared})"""
        )
        rows = ask(f"{shared} ORDER BY difference, prompt LIMIT $most OFFSET $start", most=limit, start=offset)
        scores, lengths = (histogram(judged, name) for name in ("score", "tokens"))
        margins = histogram([index.derived("listed") for index in indexes], "margin")
    return Compared(
        first=_side(*first),
        second=_side(*second),
        rows=tuple(Shared.model_validate(row) for row in rows),
        offset=offset,
        scores=scores,
        lengths=lengths,
        margins=margins,
        comparable=_judged_by(its[0].manifest.model_dump()) == _judged_by(its[1].manifest.model_dump()),
        **sums,
    )


def _side(run: RunStore, t: int) -> Side:
    return Side(run=run.path.name, path=str(run.path), row=iteration_row(run.iteration(t)))


def _judged_by(manifest: dict[str, Any]) -> Sequence[Any]:
    judge = manifest["config"].get("judge") or {}
    return [manifest["templates"].get("judge.rubric"), (judge.get("method") or {}).get("type")]
