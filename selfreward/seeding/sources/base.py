"""What a source of rows is: a name, what kind it is, and a way to read its rows from the beginning."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from selfreward.seeding.formats.base import LeftOut, Numbered

Found: TypeAlias = Numbered | LeftOut
"""A row, or why one cannot be read."""


@dataclass(frozen=True)
class Source:
    """Rows to import. Reading it again gives the same rows in the same order."""

    name: str
    kind: str
    """``JSONL``, ``CSV with ;`` …, for people."""
    read: Callable[[], Iterator[Found]]
    """Raises SeedError where nothing can be read, or nothing more."""
