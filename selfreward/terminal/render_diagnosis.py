"""How `selfreward diagnose` prints figures beside their limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from selfreward.terminal.render import Indented

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from selfreward.diagnose import Diagnosis, IterationDiagnosis
    from selfreward.diagnosis.family import Finding

_STYLES = {"ok": "green", "look": "bold yellow", "no data": "dim", "shown": ""}
_COLUMNS = (("", 30), ("now", 9), ("before", 9), ("limit", 14), ("", 7))
"""With their widths, which come to less than 80; the head stands once an iteration."""


def diagnosed(found: Diagnosis) -> RenderableType:
    """Every iteration's figures, then what is beyond its limit, in sentences."""
    from rich.console import Group

    return Group(*_blocks(found))


def _blocks(found: Diagnosis) -> Iterator[RenderableType]:
    for iteration in found.iterations:
        state = "" if iteration.finished else ", under way: of what is stored so far"
        yield Indented(f"iteration {iteration.iteration}{state}", 0, "bold underline")
        if not iteration.iteration:
            yield Indented("supervised fine-tuning: no responses, no judge, nothing to diagnose", 2)
        else:
            yield Indented("{:<30} {:>9} {:>9} {:<14}".format(*(title for title, _ in _COLUMNS)), 0, "dim")
        yield from _iteration(iteration)
        yield Indented("", 0)
    yield Indented(_sum(found), 0)


def _iteration(iteration: IterationDiagnosis) -> Iterator[RenderableType]:
    for failure, group in groupby(iteration.findings, lambda finding: finding.failure):
        findings = list(group)
        yield Indented(f"\n{failure}", 0, "bold")
        yield _table([f for f in findings if not isinstance(f.value, str)])
        for finding in findings:
            if isinstance(finding.value, str):
                yield Indented(finding.value, 30, label=finding.title)
        for finding in findings:
            if finding.flag == "look":
                yield Indented(f"look: {finding.means} Try {finding.advice}.", 2, "yellow")
        for why in dict.fromkeys(f.means for f in findings if f.flag == "no data" and f.means):
            yield Indented(f"no data: {why}", 2, "dim")


def _table(findings: Sequence[Finding]) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, show_header=False)
    for title, width in _COLUMNS:
        made.add_column(title, width=width, justify="right" if title in {"now", "before"} else "left")
    for finding in findings:
        flag = "" if finding.flag == "shown" else finding.flag
        cells = (finding.title, _number(finding.value), _number(finding.before), finding.limit or "", flag)
        made.add_row(*(Text(cell, style=_STYLES[finding.flag] if cell == flag else "") for cell in cells))
    return made


def _number(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"


def _sum(found: Diagnosis) -> str:
    if not found.flags:
        return "no figure is beyond its limit; that is no proof that all is well"
    figures = "1 figure is" if found.flags == 1 else f"{found.flags} figures are"
    return f"{figures} beyond a limit: a reason to read some responses, no proof of a fault"
