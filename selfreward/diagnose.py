"""A run's iterations held against what should not happen in them; works on every run, however old."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfreward.diagnosis.families import findings
from selfreward.diagnosis.family import Finding
from selfreward.errors import StoreError
from selfreward.records import Frozen
from selfreward.steps.metrics import current_metrics
from selfreward.storage.run import RunStore


class IterationDiagnosis(Frozen):
    """One iteration's figures beside their limits."""

    iteration: int
    finished: bool
    findings: tuple[Finding, ...]
    """None for iteration 0, which has neither responses nor pairs."""

    @property
    def flagged(self) -> tuple[Finding, ...]:
        """Those that deserve a look."""
        return tuple(finding for finding in self.findings if finding.flag == "look")


class Diagnosis(Frozen):
    """A run's iterations."""

    run: str
    path: str
    iterations: tuple[IterationDiagnosis, ...]

    @property
    def flags(self) -> int:
        """How many figures deserve a look."""
        return sum(len(found.flagged) for found in self.iterations)


def diagnose(run: RunStore, iterations: Sequence[int] = ()) -> Diagnosis:
    """Figures of these iterations, of all where none is named, each beside those of the iteration before it.

    Raises:
        StoreError: there is no such iteration, or a file is missing or damaged.
    """
    begun = run.iterations()
    if missing := [t for t in iterations if t not in begun]:
        raise StoreError(
            f"{run.path}: no iteration {missing[0]}; begun so far: {', '.join(map(str, begun)) or 'none'}. Name one of "
            "them with -i, or leave -i out"
        )
    figures: dict[int, dict[str, Any]] = {}

    def of(t: int) -> dict[str, Any]:
        if t not in figures:
            figures[t] = current_metrics(run, run.iteration(t)) if t > 0 and t in begun else {}
        return figures[t]

    found = []
    for t in sorted(set(iterations)) or begun:
        finished = run.iteration(t).manifest.finished
        own = findings(of(t), of(t - 1)) if t else ()
        found.append(IterationDiagnosis(iteration=t, finished=finished, findings=own))
    return Diagnosis(run=run.path.name, path=str(run.path), iterations=tuple(found))
