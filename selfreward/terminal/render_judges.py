"""How good judges are, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from selfreward.evaluation.report import percent
from selfreward.terminal.render import table, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from selfreward.evaluation.bootstrap import Figure
    from selfreward.evaluation.report import Figures, JudgeReport, Part
    from selfreward.verdicts.measuring import JudgeEvaluation

_ROWS = (
    ("pairwise_accuracy", "pairs in order"),
    ("exact_match", "prompts in order"),
    ("top_score_best", "highest is best"),
    ("spearman", "Spearman"),
    ("kendall", "Kendall tau-b"),
    ("tie_share", "pairs tied"),
    ("readable_share", "pairs readable"),
)
_OF_PAIRS = tuple(row for row in _ROWS if row[0] not in {"exact_match", "spearman", "kendall"})
"""In a ranking of two the others say the same again."""
_CORRELATIONS = {"spearman", "kendall"}
_COLUMNS = ("", "judge", "length only", "random", "of")


def evaluation(found: JudgeEvaluation) -> RenderableType:
    """Every judge's figures beside the controls'."""
    from rich.console import Group

    return Group(*_blocks(found))


def _blocks(found: JudgeEvaluation) -> Iterator[RenderableType]:
    from rich.text import Text

    left_out = ", ".join(f"{reason} {count:,}" for reason, count in found.left_out.items())
    aside = f" (rows left out: {left_out})" if left_out else ""
    yield Text(visible(f"{found.data}: {found.rows:,} responses to {found.prompts:,} prompts{aside}"))
    for report in found.judges:
        yield Text("")
        yield Text(visible(", ".join(filter(None, (report.judge, report.method, report.rubric)))), style="bold")
        yield Text(_verdicts(report))
        for title, part, rows in (
            ("all pairs", report.whole, _ROWS),
            ("balanced for length", report.length_balanced, _OF_PAIRS),
        ):
            yield Text(f"\n{title}: {part.pairs:,} pairs of {part.prompts:,} prompts")
            yield _part(part, rows)
    one = found.judges[0]
    yield Text(f"\nin brackets: 95% of {one.resamples:,} resamples of the prompts, seed {one.seed}")


def _verdicts(report: JudgeReport) -> str:
    flips = report.swap_flip_share
    asked = f"{report.judgments:,} judgments, unreadable {percent(report.unreadable_share)}"
    return asked if flips is None else f"{asked}; verdicts that flip on the swap {percent(flips)} of {flips.n:,} pairs"


def _part(part: Part, figures: Sequence[tuple[str, str]]) -> RenderableType:
    rows = []
    for name, title in figures:
        judge = _figure(part.judge, name)
        chance = _figure(part.random, name).model_copy(update={"low": None, "high": None})  # nothing was drawn
        shown = (_cell(name, one) for one in (judge, _figure(part.length_only, name), chance))
        rows.append((title, *shown, f"{judge.n:,}"))
    return table(_COLUMNS, rows, numbers=_COLUMNS[1:])


def _figure(figures: Figures, name: str) -> Figure:
    found: Figure = getattr(figures, name)
    return found


def _cell(name: str, figure: Figure) -> str | None:
    if figure.value is None:
        return None
    if name not in _CORRELATIONS:
        return percent(figure)
    return f"{figure.value:.2f}" + ("" if figure.low is None else f" [{figure.low:.2f}, {figure.high:.2f}]")
