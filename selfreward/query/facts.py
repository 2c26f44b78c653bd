"""One iteration looked at closely: how scores, margins and lengths spread, what diagnose finds, how training went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from selfreward.diagnose import IterationDiagnosis, diagnose
from selfreward.query.database import LOCK, ask
from selfreward.query.histograms import Histogram, histogram
from selfreward.query.index import Index
from selfreward.query.iterations import IterationRow, iteration_row
from selfreward.query.kept import iteration, kept
from selfreward.records import Frozen
from selfreward.steps.metrics import cost_log, has_metrics, training_log
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore

MOST_POINTS = 1000
"""Of a scatter or a curve; those of a scatter are drawn by a hash of their ids, so that they stay the same."""
MOST_DIAGNOSED = 4000
"""Responses of an iteration without metrics.json that are looked at here; `selfreward diagnose` takes its time."""


class Scatter(Frozen):
    """Length in tokens against score."""

    points: tuple[tuple[float, float], ...]
    """(tokens, score) of some candidates."""
    correlation: float | None
    """Pearson's r over all of them; None where one of the two does not vary."""
    candidates: int
    """How many have a score."""


class Curve(Frozen):
    """One figure of training.jsonl or training_cost.jsonl, step by step."""

    name: str
    """As TRL calls it, such as ``rewards/margins``."""
    points: tuple[tuple[float, float], ...]
    """(step, value), thinned to a bounded number."""


class IterationFacts(Frozen):
    """Everything that a page about an iteration shows."""

    row: IterationRow
    scores: Histogram
    """Of candidates, by mean score."""
    margins: Histogram
    """Of pairs."""
    length_differences: Histogram
    """Of pairs, chosen minus rejected, in tokens."""
    length_and_score: Scatter
    training: tuple[Curve, ...]
    """Empty until training is finished."""
    diagnosis: IterationDiagnosis | None
    """None where it would take too long here: the iteration has no metrics.json yet and is large."""


def iteration_facts(run: RunStore, t: int) -> IterationFacts:
    """An iteration's figures; of one under way those of what is stored so far.

    Raises:
        StoreError: there is no such iteration, or a file is missing or damaged.
    """
    it = iteration(run, t)
    before = [iteration(run, t - 1)] if t - 1 in run.iterations() else []
    found = kept(it, "facts", lambda: _facts(run, it), *before)
    return found.model_copy(update={"row": iteration_row(run, t)})  # gates stand in the events, not in the iteration


def _facts(run: RunStore, it: IterationStore) -> IterationFacts:
    with LOCK:
        index = Index(it)
        candidates, pairs = f"(FROM {index.derived('candidates')} WHERE NOT initial)", index.derived("listed")
        scores = histogram([candidates], "score")
        margins = histogram([pairs], "margin")
        differences = histogram([pairs], "chosen_tokens - rejected_tokens")
        scatter = _scatter(candidates)
    return IterationFacts(
        row=iteration_row(run, it.manifest.iteration),
        scores=scores,
        margins=margins,
        length_differences=differences,
        length_and_score=scatter,
        training=(*_curves(training_log(it)), *_curves(cost_log(it))),
        diagnosis=_diagnosis(run, it),
    )


def _scatter(candidates: str) -> Scatter:
    judged = f"FROM {candidates} WHERE score IS NOT NULL"
    (sums,) = ask(f"SELECT corr(tokens, score) AS r, count(*) AS n {judged}")
    rows = ask(f"SELECT tokens, score {judged} ORDER BY hash(id), id LIMIT {MOST_POINTS}")
    r = sums["r"]
    return Scatter(
        points=tuple((row["tokens"], row["score"]) for row in rows),
        correlation=None if r is None or math.isnan(r) else r,
        candidates=sums["n"],
    )


def _curves(log: Sequence[dict[str, Any]]) -> tuple[Curve, ...]:
    names = dict.fromkeys(name for step in log for name in step if name not in _NO_CURVES)
    curves = []
    for name in names:
        points = [
            (float(step.get("step", number)), float(step[name]))
            for number, step in enumerate(log, 1)
            if isinstance(step.get(name), (int, float)) and math.isfinite(step[name])
        ]
        every = -(-len(points) // MOST_POINTS) or 1
        if len(points) > 1:
            curves.append(Curve(name=name, points=tuple(points[::every])))
    return tuple(curves)


_NO_CURVES = ("step", "epoch", "num_tokens", "total_flos", "train_runtime")


def _diagnosis(run: RunStore, it: IterationStore) -> IterationDiagnosis | None:
    responses = it.stage("responses")
    if responses is not None and responses.rows > MOST_DIAGNOSED and not has_metrics(it):
        return None
    return diagnose(run, [it.manifest.iteration]).iterations[0]
