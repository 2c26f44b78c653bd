"""How a check of seeds looks in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from selfreward.terminal.render import table, visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from selfreward.seed_checks.report import FileCheck, Lengths, SeedCheck

_BAR = 40
"""Columns of the longest bar."""


def checked(found: SeedCheck) -> RenderableType:
    """Every file: what would be refused, what deserves a look, lengths, scores."""
    from rich.console import Group

    parts = [part for file in found.files for part in _file(file)]
    parts += [_line(f"refused: {refusal}", "red") for refusal in found.refusals]
    return Group(*parts)


def verdict(found: SeedCheck) -> str:
    """What it comes to, in a sentence."""
    refusals = len(found.refusals) + sum(len(file.refusals) for file in found.files)
    warnings = sum(len(file.warnings) for file in found.files)
    against = f"with {found.model} ({found.context} tokens) and the rubric {found.rubric}"
    beside = f"; {warnings} {'warning' if warnings == 1 else 'warnings'}" if warnings else ""
    if found.refused:
        return f"a run {against} would refuse this, for {refusals} {'reason' if refusals == 1 else 'reasons'}{beside}"
    return f"a run {against} would take this{beside}"


def _file(file: FileCheck) -> list[RenderableType]:
    name = "EFT" if file.kind == "eft" else "IFT"
    parts = [_line(f"{file.path}: {file.rows} {name} rows, {file.instructions} different instructions", "bold")]
    parts += [_line(f"refused: {refusal}", "red") for refusal in file.refusals]
    parts += [_line(f"warning: {warning}", "yellow") for warning in file.warnings]
    if file.lengths:
        parts += [_line(""), _line(_in_words(file.lengths)), _lengths(file.lengths)]
    if file.scores:
        parts += [_line(""), _bars("score", {str(score): rows for score, rows in file.scores.counts.items()})]
    return [*parts, _line("")]


def _in_words(lengths: Lengths) -> str:
    return (
        f"tokens as examples: {lengths.least} to {lengths.most}, median {lengths.median}, 95% at most {lengths.p95}, "
        f"{lengths.total:,} in all; limit {lengths.limit} ({lengths.limit_is})"
    )


def _lengths(lengths: Lengths) -> Table:
    return _bars("tokens", {f"to {part.up_to}": part.rows for part in lengths.histogram})


def _bars(what: str, counts: Mapping[str, int]) -> Table:
    """A histogram; whatever has rows has a bar."""
    most = max(counts.values())
    rows = [(name, count, "#" * -(-count * _BAR // most) if most else "") for name, count in counts.items()]
    return table((what, "rows", ""), rows, numbers=(what, "rows"))


def _line(text: str, style: str = "") -> RenderableType:
    from rich.text import Text

    return Text(visible(text), style=style)
