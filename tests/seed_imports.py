"""What tests of importing share: the types of the fixtures in seeding/conftest.py."""

from collections.abc import Iterable
from typing import Any, Protocol

from selfreward.seeding.formats.base import LeftOut, Numbered, Target
from selfreward.seeding.importing import Tally
from selfreward.seeding.sources.base import Source

Row = dict[str, Any]


class Imported:
    """What came of an import."""

    def __init__(self, form: str, rows: list[Row], left_out: list[LeftOut], tally: Tally) -> None:
        self.form, self.rows, self.left_out, self.tally = form, rows, left_out, tally

    @property
    def reasons(self) -> list[tuple[int, str]]:
        return [(item.line, item.reason) for item in self.left_out]


class Import(Protocol):
    def __call__(
        self,
        rows: Iterable[Row],
        target: Target,
        *,
        form: str | None = None,
        languages: tuple[str, ...] = (),
        scale_from: tuple[float, float] | None = None,
    ) -> Imported: ...


def source_of(rows: Iterable[Row]) -> Source:
    kept = list(rows)
    return Source("rows", "a list", lambda: (Numbered(i, row) for i, row in enumerate(kept, 1)))
