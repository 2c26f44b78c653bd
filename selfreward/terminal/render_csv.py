"""Tables as CSV. In texts, what a terminal or a spreadsheet would act on is made plain; JSON has them as they are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from selfreward.diagnosis.family import Finding
from selfreward.records import Frozen
from selfreward.terminal.render import visible

if TYPE_CHECKING:
    from selfreward.diagnose import Diagnosis

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets take a cell that begins so for a formula."""


def rows(kind: type[Frozen], found: Sequence[Frozen]) -> str:
    """Records of one kind under the names of their fields."""
    return _text(list(kind.model_fields), (row.model_dump(mode="json").values() for row in found))


def diagnosis(found: Diagnosis) -> str:
    """A line for each figure of each iteration."""
    lines = (
        [one.iteration, *finding.model_dump(mode="json").values()]
        for one in found.iterations
        for finding in one.findings
    )
    return _text(["iteration", *Finding.model_fields], lines)


def _text(head: Sequence[str], lines: Iterable[Iterable[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in line] for line in lines)
    return file.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text
