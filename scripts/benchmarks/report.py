"""All measurements as one JSON file and one table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_HEAD = ("", "measured", "wanted", "reached")


def table(measurements: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table with a row for each figure, and for each measurement that gave none the reason."""
    rows: list[Sequence[str]] = [_HEAD]
    for name, found in measurements.items():
        rows.append((f"**{name}**: {found['title']}", "", "", ""))
        rows += [_row(figure) for figure in found.get("figures", ())]
        reason = found.get("skipped") or found.get("failed")
        if reason:
            rows.append((str(reason), "skipped" if "skipped" in found else "failed", "", ""))
    return "\n".join(_lines(rows))


def _row(figure: Mapping[str, Any]) -> Sequence[str]:
    wanted, reached = "", ""
    if figure["target"] is not None:
        wanted = f"{figure['bound']} {_number(figure['target'], figure['unit'])}"
        reached = "yes" if figure["reached"] else "no"
    return (figure["what"], _number(figure["value"], figure["unit"]), wanted, reached)


def _number(value: float, unit: str) -> str:
    text = f"{value:.3f}" if value < 1.5 else f"{value:.1f}"
    return f"{text}{unit}" if unit == "x" else f"{text} {unit}"


def _lines(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"
