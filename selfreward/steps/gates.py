"""A recipe's gates: what stops a run, or is warned of, as soon as an iteration's figures are known."""

from __future__ import annotations

from typing import Any

from selfreward.diagnosis.gates import After, Tripped, tripped
from selfreward.errors import GateError
from selfreward.session import Session
from selfreward.steps.metrics import current_metrics, figures_after
from selfreward.storage.iteration import IterationStore


def check_gates(s: Session, it: IterationStore, after: After) -> None:
    """Look at the figures that this part of the iteration gave; in a finished iteration nobody looks again.

    Raises:
        GateError: a figure reached its limit in ``stop_if``. Everything is kept, and the same command goes on from here
            once the limit is another one.
    """
    stop_if, warn_if = s.config.stop_if, s.config.warn_if
    if it.manifest.finished or not (stop_if.wants(after) or warn_if.wants(after)):
        return
    now = figures_after(s.store, it, after)
    before = _before(s, it)
    for gate in tripped(warn_if, after, now, before):
        _record(s, it, gate, "warn")
        s.reporter.say(f"{it.label} warn_if.{gate.name}: {gate.words}; try {gate.advice}")
    stopped = list(tripped(stop_if, after, now, before))
    for gate in stopped:
        _record(s, it, gate, "stop")
    if stopped:
        raise GateError("\n".join(_message(s, it, gate) for gate in stopped))


def _before(s: Session, it: IterationStore) -> dict[str, Any]:
    t = it.manifest.iteration
    return current_metrics(s.store, s.store.iteration(t - 1)) if t > 1 else {}


def _record(s: Session, it: IterationStore, gate: Tripped, action: str) -> None:
    place = {"iteration": it.manifest.iteration, "gate": gate.name}
    s.events.write("gate_tripped", **place, value=gate.value, limit=gate.limit, action=action)


def _message(s: Session, it: IterationStore, gate: Tripped) -> str:
    t = it.manifest.iteration
    return (
        f"{it.path}: stopped by stop_if.{gate.name}: {gate.words}. Everything is kept.\n"
        f"  To go on as it is: the same command with --set stop_if.{gate.name}=null (or another limit). To do it "
        f"another way: selfreward fork {s.store.path.name} --at {t - 1} --name NEW --set …, with {gate.advice}"
    )
