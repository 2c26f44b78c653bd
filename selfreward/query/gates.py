"""Gates that a run reached, as its events have them."""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

from pydantic import ValidationError

from selfreward.records import Frozen
from selfreward.storage.events import read_events
from selfreward.storage.run import EVENTS, RunStore

_TRIPPED = "gate_tripped"


class TrippedGate(Frozen):
    """A figure that reached the recipe's limit."""

    iteration: int
    gate: str
    """As under ``stop_if`` and ``warn_if``."""
    value: float
    limit: float
    action: Literal["stop", "warn"]

    @property
    def words(self) -> str:
        """In one short line."""
        return f"{self.action} {self.gate}: {self.value:.3g}, limit {self.limit:g}"


def tripped_gates(run: RunStore) -> dict[int, tuple[TrippedGate, ...]]:
    """By iteration; of a gate that was reached again after going on, the last time."""
    found: defaultdict[int, dict[tuple[str, str], TrippedGate]] = defaultdict(dict)
    for event in read_events(run.path / EVENTS):
        if event.get("event") != _TRIPPED:
            continue
        try:
            gate = TrippedGate.model_validate({name: event.get(name) for name in TrippedGate.model_fields})
        except ValidationError:  # of another version
            continue
        found[gate.iteration][gate.gate, gate.action] = gate
    return {t: tuple(gates.values()) for t, gates in found.items()}
