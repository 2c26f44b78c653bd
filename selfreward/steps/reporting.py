"""What an iteration says as soon as it is known: warnings of its training, and figures for experiment trackers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selfreward.diagnosis.families import findings
from selfreward.diagnosis.family import Figures
from selfreward.diagnosis.numbers import within
from selfreward.session import Session
from selfreward.steps.metrics import current_metrics, figures_of_training
from selfreward.storage.catalogue import training_cost
from selfreward.storage.iteration import IterationStore

_OF_TRAINING = ("chosen_reward", "chosen_sinks", "reward_margin", "reward_accuracy", "last_loss")


def warn_of_training(s: Session, it: IterationStore) -> None:
    """Chosen responses that become less likely, rewards that do not move, a loss that stays where it began."""
    for finding in findings(figures_of_training(it), {}):
        if finding.name in _OF_TRAINING and finding.flag == "look":
            s.reporter.say(
                f"{it.label} training: {finding.title} is {finding.value:g}, wanted {finding.limit}. {finding.means} "
                f"Try {finding.advice}"
            )


def report_iteration(s: Session, it: IterationStore, metrics: Figures) -> None:
    """An iteration's figures for the trackers that the recipe names."""
    if not s.config.report_to:
        return
    t = it.manifest.iteration
    before = current_metrics(s.store, s.store.iteration(t - 1)) if t > 1 else {}
    s.trackers.log(t, dict(_figures(it, metrics, before)))


def _figures(it: IterationStore, now: Figures, before: Figures) -> Iterator[tuple[str, float]]:
    """What `selfreward diagnose` shows, under its names; rows and drops by stage; what training cost."""
    if it.manifest.iteration:
        for finding in findings(now, before):
            if isinstance(finding.value, int | float):
                yield f"figures/{finding.name}", finding.value
    score = within(now, "score", "mean")
    if score is not None:
        yield "figures/score_mean", score
    for stage, entry in it.manifest.stages.items():
        if entry.rows:
            yield f"rows/{stage}", entry.rows
        yield from _drops(stage, entry.counts)
    cost = training_cost(it.trained)
    if cost is not None:
        yield "training/tokens_per_second", cost.tokens_per_second
        yield "training/peak_memory_gib", cost.peak_memory_gib


def _drops(stage: str, counts: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for what, number in counts.items():
        kind, _, why = what.partition(".")
        if kind in ("drop", "unusable"):
            yield f"drops/{stage}.{why}", number
