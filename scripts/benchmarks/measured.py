"""What a measurement is given and what it gives back."""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks import SCRIPTS


class Absent(Exception):
    """Something that the measurement needs is not on this machine; the message says what."""


@dataclass(frozen=True)
class Setting:
    """How a measurement is to be made."""

    model: str
    """As in a recipe."""
    scratch: Path
    """A directory of its own, removed afterwards."""
    engine: Mapping[str, Any] = field(default_factory=lambda: {"type": "transformers"})
    """As in a recipe, for measurements that do with any engine."""
    tiny: bool = False
    """Seconds instead of minutes, to see that it works; the figures mean nothing then."""
    repeats: int | None = None
    """Instead of the measurement's own number."""
    deadline: float = float("inf")
    """``time.monotonic()`` after which nothing is repeated."""

    def as_json(self) -> dict[str, Any]:
        """For another process; the deadline becomes the seconds that are left."""
        left = None if self.deadline == float("inf") else self.seconds_left()
        return {**asdict(self), "scratch": str(self.scratch), "engine": dict(self.engine), "deadline": left}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Setting":
        """What :meth:`as_json` gave."""
        left = data["deadline"]
        deadline = float("inf") if left is None else time.monotonic() + left
        return cls(**{**data, "scratch": Path(data["scratch"]), "deadline": deadline})

    def times(self, usual: int) -> int:
        """How often the sides that are compared take turns."""
        return self.repeats or (1 if self.tiny else usual)

    def seconds_left(self) -> float:
        """Until the deadline."""
        return self.deadline - time.monotonic()


def environment() -> dict[str, str]:
    """For a process that is to find this package."""
    path = os.pathsep.join(filter(None, [str(SCRIPTS), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


@dataclass(frozen=True)
class Figure:
    """One number, and what it should be."""

    what: str
    value: float
    unit: str = "x"
    target: float | None = None
    bound: Literal["at least", "at most"] = "at least"

    @property
    def reached(self) -> bool | None:
        """None where nothing was promised."""
        if self.target is None:
            return None
        return self.value >= self.target if self.bound == "at least" else self.value <= self.target

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {**asdict(self), "reached": self.reached}


@dataclass(frozen=True)
class Measured:
    """Figures for the table, and what they were computed from."""

    figures: list[Figure]
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the report.

        Raises:
            ValueError: nothing was measured.
        """
        if not self.figures:
            raise ValueError("a measurement without a figure")
        return {"figures": [figure.as_json() for figure in self.figures], "details": dict(self.details)}
