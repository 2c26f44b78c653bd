"""How lists of pairs and of labelled responses are printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from selfreward.terminal.render import Indented, preview

if TYPE_CHECKING:
    from rich.console import RenderableType

    from selfreward.query.labelled import LabelledPage, LabelledRow
    from selfreward.query.pairs import PairPage, PairRow


def listed(page: PairPage | LabelledPage) -> RenderableType:
    """The rows of a list."""
    from selfreward.query.labelled import LabelledPage

    return labelled(page.rows) if isinstance(page, LabelledPage) else pairs(page.rows)


def labelled(rows: Sequence[LabelledRow]) -> RenderableType:
    """Labelled responses with the beginning of their texts."""
    from rich.console import Group
    from rich.text import Text

    blocks: list[RenderableType] = []
    for row in rows:
        said, style = ("wanted", "green") if row.wanted else ("unwanted", "red")
        blocks.append(Text(row.id, style="bold"))
        set_by = "; its score was overridden" if row.overridden else ""
        blocks.append(Indented(f"{said}, score {row.score:.3f}, {row.tokens} tokens{set_by}", 2))
        for name, text, style_ in (("prompt", row.prompt, ""), ("response", row.response, style)):
            blocks.append(Indented(preview(text), 11, style_, label=f"  {name}"))
        blocks.append(Text(""))
    return Group(*blocks)


def pairs(rows: Sequence[PairRow]) -> RenderableType:
    """Pairs with the beginning of their texts."""
    from rich.console import Group
    from rich.text import Text

    blocks: list[RenderableType] = []
    for row in rows:
        blocks.append(Text(row.id, style="bold"))
        blocks.append(Indented(_figures(row), 2))
        if row.flags or row.overridden:
            marks = [*row.flags, *(["overridden"] if row.overridden else [])]
            blocks.append(Indented(f"look: {', '.join(marks)}", 2, "yellow"))
        for name, text, style in (
            ("prompt", row.prompt, ""),
            ("chosen", row.chosen, "green"),
            ("rejected", row.rejected, "red"),
        ):
            blocks.append(Indented(preview(text), 11, style, label=f"  {name}"))
        blocks.append(Text(""))
    return Group(*blocks)


def _figures(row: PairRow) -> str:
    variance = "" if row.variance is None else f", variance {row.variance:.3f}"
    scores = "not judged"
    if row.chosen_score is not None and row.rejected_score is not None and row.margin is not None:
        scores = f"{row.chosen_score:.3f} against {row.rejected_score:.3f}, margin {row.margin:.3f}{variance}"
    return f"{scores}\n{row.chosen_tokens} against {row.rejected_tokens} tokens"


def how_many(page: PairPage | LabelledPage) -> Iterator[str]:
    """How many there are, where the list says less than all."""
    from selfreward.query.labelled import LabelledPage

    rows, whole = ("responses", page.labelled) if isinstance(page, LabelledPage) else ("pairs", page.pairs)
    if page.total != whole or len(page.rows) != page.total:
        yield f"{len(page.rows):,} of {page.total:,} {rows} that fit, of {whole:,} in all"
    if page.cut is not None:
        yield f"only the first {page.cut:,} {rows} in this order were searched for the text; narrow it by other filters"
    if not page.finished:
        made = "labels are still being given" if isinstance(page, LabelledPage) else "pairs are still being built"
        yield f"{made}: these are the ones so far"
