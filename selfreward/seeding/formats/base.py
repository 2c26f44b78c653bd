"""What a format is: which rows it fits, and for each target a pure converter from rows to rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from selfreward.seeding.rows import RowError

Target = Literal["ift", "eft", "ranked"]
TARGETS: tuple[Target, ...] = ("ift", "eft", "ranked")
Row: TypeAlias = dict[str, Any]


class Numbered(NamedTuple):
    """A row of the source and its line, counted from 1."""

    line: int
    row: Row


class LeftOut(NamedTuple):
    """A row, or a part of it, that gives nothing. ``reason`` is one of a few words to count by."""

    line: int
    reason: str
    detail: str


class Made(NamedTuple):
    """A row to write, and the line of the source that it comes from. An EFT row's score is still the source's own."""

    line: int
    row: Row


class Reject(RowError):
    """Raised by a converter: why this row, or this part of it, gives nothing."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


Item: TypeAlias = Made | LeftOut


class Reread(Protocol):
    """Reads the source's rows from the beginning.

    A converter may do so once before, ``only_looking``, where it cannot keep texts in memory; rows that cannot be read
    are named the other time.
    """

    def __call__(self, *, only_looking: bool = False) -> Iterator[Numbered]: ...


Convert: TypeAlias = Callable[[Reread], Iterator[Item]]
Part: TypeAlias = Callable[[], Row]
"""Makes one row to write, or raises :class:`Reject`."""


def language_column(row: Row) -> Any:
    """The language, under either of its usual names."""
    return row.get("language", row.get("lang"))


@dataclass(frozen=True)
class Format:
    """One way in which people lay out instruction or preference data."""

    name: str
    """What ``--format`` takes."""
    about: str
    """Where it comes from and its columns, for people."""
    columns: frozenset[str]
    """All columns that are read; others are said to be unused."""
    fits: Callable[[Row], bool]
    """Whether a row has this shape; looks at columns and kinds of values, not at whether texts are good."""
    converters: Mapping[Target, Convert]
    language: Callable[[Row], Any] = language_column
    """The row's language, None where it has none."""
    scale: tuple[float, float] | None = None
    """From which to which number its scores go, where that is known and part of the format."""


def each(parts: Callable[[Row], Iterator[Part] | list[Part]]) -> Convert:
    """A converter for a format in which every row stands alone and gives some rows; a bad part spoils only itself."""

    def convert(reread: Reread) -> Iterator[Item]:
        for line, row in reread():
            try:
                made = list(parts(row))
            except Reject as error:
                yield LeftOut(line, error.reason, str(error))
                continue
            for part in made:
                try:
                    yield Made(line, part())
                except Reject as error:
                    yield LeftOut(line, error.reason, str(error))

    return convert
