"""What a person decided about an iteration's pairs, as far as building them needs to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

Two = frozenset[str]
"""Ids of two responses, whichever is chosen; of a seed's response that of the seed."""


class Side(Protocol):
    """One side of a pair."""

    @property
    def id(self) -> str:
        """As the pair has it."""


S = TypeVar("S", bound=Side)


@dataclass(frozen=True)
class Corrections:
    """Scores that stand in the place of the judge's, pairs that are left out, and pairs whose chosen side is set."""

    scores: Mapping[str, float] = field(default_factory=dict)
    """By the response's id."""
    excluded: frozenset[Two] = frozenset()
    chosen: Mapping[Two, str] = field(default_factory=dict)

    def sides(self, chosen: S, rejected: S) -> tuple[S, S] | None:
        """The pair as a person wants it; None where it is left out."""
        two = frozenset({chosen.id, rejected.id})
        if two in self.excluded:
            return None
        return (rejected, chosen) if self.chosen.get(two) == rejected.id else (chosen, rejected)


NO_CORRECTIONS = Corrections()
