"""Two iterations beside each other, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from selfreward.terminal.render import Indented, preview, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from selfreward.query.compare import Compared, Shared
    from selfreward.query.histograms import Histogram
    from selfreward.query.iterations import IterationRow

_BAR = 24
"""Columns of a histogram's longest bar."""


def compared(found: Compared) -> RenderableType:
    """Figures, how scores, lengths and margins spread, and the prompts that got worst."""
    from rich.console import Group

    return Group(*_blocks(found))


def _blocks(found: Compared) -> Iterator[RenderableType]:
    names = tuple(f"{side.run} {side.row.iteration}" for side in (found.first, found.second))
    yield table(("", *names), _figures(found.first.row, found.second.row), numbers=names)
    if not found.comparable:
        different = "judged by different rubrics or methods, or by a mix"
        yield Indented(f"\n{different}: their scores are on scales of their own", 0, "yellow")
    for title, histogram in (("scores", found.scores), ("tokens", found.lengths), ("margins", found.margins)):
        if any(map(sum, histogram.series)):
            yield Indented(f"\n{title}, share of each", 0, "bold")
            yield _histogram(histogram, names)
    yield Indented(f"\nprompts that both answered: {found.total:,}", 0, "bold")
    if found.total:
        yield Indented(
            f"worse {found.worse:,}, same {found.same:,}, better {found.better:,}; "
            f"mean difference of scores {found.mean_difference:+.3f}",
            0,
        )
    elif not found.judged:
        yield Indented("prompts are compared by their scores, and one of the two was not judged", 0)
    else:
        yield Indented("none; `selfreward eval compare` lets two models answer the same held-out prompts", 0)
    for row in found.rows:
        yield from _shared(row)


def _figures(first: IterationRow, second: IterationRow) -> Iterator[tuple[str, str | None, str | None]]:
    for title, name, form in (
        ("prompts", "prompts", "{:,}"),
        ("responses", "responses", "{:,}"),
        ("pairs", "pairs", "{:,}"),
        ("mean score", "mean_score", "{:.3f}"),
        ("mean tokens", "mean_tokens", "{:.1f}"),
        ("candidates tied", "tie_share", "{:.1%}"),
        ("verdicts unreadable", "unreadable_share", "{:.1%}"),
    ):
        values = [getattr(row, name) for row in (first, second)]
        one, other = (None if value is None else form.format(value) for value in values)
        yield title, one, other


def _histogram(found: Histogram, names: tuple[str, ...]) -> RenderableType:
    shares = [[count / (sum(series) or 1) for count in series] for series in found.series]
    highest = max(max(series, default=0) for series in shares) or 1
    rows = []
    for i, edge in enumerate(found.edges[:-1]):
        bars = ["█" * round(series[i] / highest * _BAR) for series in shares]
        rows.append((f"{edge:g}", *bars))
    return table(("from", *names), rows, numbers=("from",))


def _shared(row: Shared) -> Iterator[RenderableType]:
    yield Indented(
        f"\n{row.difference:+.3f}  {row.first_score:.3f} -> {row.second_score:.3f}, "
        f"{row.first_tokens:.0f} -> {row.second_tokens:.0f} tokens",
        0,
        "bold",
    )
    yield Indented(preview(row.prompt), 2)
    yield Indented(f"{row.first_prompt_id} -> {row.second_prompt_id}", 2, "dim")
