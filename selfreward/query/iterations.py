"""A run's iterations in a few numbers each."""

from __future__ import annotations

from typing import Any

from selfreward.evaluation.bootstrap import Figure
from selfreward.evaluation.comparison import Comparison
from selfreward.query.database import LOCK, ask
from selfreward.query.gates import TrippedGate, tripped_gates
from selfreward.query.index import Index
from selfreward.query.kept import iteration, kept
from selfreward.records import Frozen
from selfreward.steps.metrics import COMPARISON
from selfreward.storage.catalogue import compared, measured_accuracy, training_cost
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.training.cost import TrainingCost

_SUMS = """
    SELECT sum(score * readable) / nullif(sum(readable), 0) AS mean_score, avg(tokens) AS mean_tokens,
           CASE WHEN sum(compared) > 0 THEN 1 - sum(compared_readable) / sum(compared)
                ELSE 1 - sum(readable) / nullif(sum(verdicts), 0) END AS unreadable_share
    FROM {candidates} WHERE NOT initial"""
_TIES = """
    SELECT avg((abs(a.score - b.score) < 1e-9)::INTEGER) AS tie_share
    FROM {candidates} a JOIN {candidates} b ON a.prompt_id = b.prompt_id AND a.index < b.index
    WHERE NOT a.initial AND NOT b.initial AND a.score IS NOT NULL AND b.score IS NOT NULL"""
"""Means of the same scores may differ by next to nothing."""


class IterationRow(Frozen):
    """An iteration in a few numbers; None where it has no such thing (yet)."""

    iteration: int
    finished: bool
    model: str
    """What the iteration makes: M1 of iteration 0, M2 of iteration 1, …"""
    prompts: int | None
    responses: int | None
    pairs: int | None
    labelled: int | None
    """Single responses with a label, where the pair rule makes these in place of pairs."""
    judgment_pairs: int | None
    """Pairs of judgments, where the recipe has the judgments judged."""
    mean_score: float | None
    """Mean of all readable verdicts."""
    mean_tokens: float | None
    """Of the responses."""
    tie_share: float | None
    """Of every two candidates of a prompt that have scores, how many have the same one."""
    unreadable_share: float | None
    """Of all verdicts; of the comparisons where two responses are compared."""
    drops: dict[str, dict[str, int]]
    """By stage, why something was left out (``drop.``) or could be in no pair (``unusable.``), and how often."""
    gates: tuple[TrippedGate, ...]
    """Limits of the recipe that were reached."""
    judge_accuracy: Figure | None
    """Share of held-out pairs that its judge puts in people's order; where the recipe names such."""
    comparison: Comparison | None
    """Of the new model with the one before, on held-out prompts; where the recipe names such."""
    loss: tuple[float, float] | None
    """Of the first and the last training step."""
    reward_margins: tuple[float, float] | None
    """TRL's rewards/margins of the first and the last training step."""
    cost: TrainingCost | None
    """How fast training was, and what memory it took."""
    seconds: float
    weights: str | None
    """Directory of what it trained: an adapter, or a whole model."""


def iteration_table(run: RunStore) -> list[IterationRow]:
    """Every iteration that was begun, in order."""
    gates = tripped_gates(run)
    return [_row(iteration(run, t), gates.get(t, ())) for t in run.iterations()]


def iteration_row(run: RunStore, t: int) -> IterationRow:
    """One of them."""
    return _row(iteration(run, t), tripped_gates(run).get(t, ()))


def _row(it: IterationStore, gates: tuple[TrippedGate, ...]) -> IterationRow:

    def rows_of(stage: str) -> int | None:
        entry = it.stage(stage)
        return None if entry is None else entry.rows

    training = it.trained
    summary = training.summary if training is not None else {}
    return IterationRow(
        iteration=it.manifest.iteration,
        finished=it.manifest.finished,
        model=f"M{it.manifest.iteration + 1}",
        prompts=rows_of("prompts"),
        responses=rows_of("responses"),
        pairs=rows_of("pairs"),
        labelled=rows_of("labelled"),
        judgment_pairs=rows_of("judgment_pairs"),
        gates=gates,
        **kept(it, "sums", lambda: _sums(it)),
        drops=_drops(it),
        judge_accuracy=measured_accuracy(it.stage("heldout_judgments")),
        comparison=compared(it.stage(COMPARISON)),
        loss=_first_and_last(summary, "loss"),
        reward_margins=_first_and_last(summary, "rewards/margins"),
        cost=training_cost(training),
        seconds=round(sum(stage.seconds for stage in it.manifest.stages.values()), 1),
        weights=str(it.weights) if training is not None and training.finished else None,
    )


def _sums(it: IterationStore) -> dict[str, float | None]:
    with LOCK:
        candidates = Index(it).derived("candidates")
        (sums,), (ties,) = (ask(sql.format(candidates=candidates)) for sql in (_SUMS, _TIES))
    return sums | ties


def _drops(it: IterationStore) -> dict[str, dict[str, int]]:
    """Without stages that lost nothing."""
    found = {
        stage: {what: n for what, n in sorted(entry.counts.items()) if n and what.startswith(("drop.", "unusable."))}
        for stage, entry in it.manifest.stages.items()
    }
    return {stage: counts for stage, counts in found.items() if counts}


def _first_and_last(summary: dict[str, Any], name: str) -> tuple[float, float] | None:
    return (summary[name]["first"], summary[name]["last"]) if name in summary else None
