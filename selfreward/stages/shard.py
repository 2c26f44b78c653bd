"""What a stage gives back for each piece of its work."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from selfreward.records import Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Shard(Generic[R]):
    """Records of a stage, in input order, with what was counted on the way."""

    records: list[R]
    inputs: int
    """How many of the stage's inputs went in: a run that was stopped goes on after their sum."""
    counts: Counter[str] = field(default_factory=Counter)
    """``drop.<reason>``, ``tokens.prompt``, ``tokens.generated`` and the stage's own."""
