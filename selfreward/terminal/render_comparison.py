"""Two models against each other, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from selfreward.evaluation.comparison import LEAST_DECIDED, answer
from selfreward.evaluation.report import percent
from selfreward.terminal.render import table, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from selfreward.evaluation.comparison import Comparison, Side

_JUDGED_BY = {
    "first": "{0} judges its own answers here",
    "second": "{1} judges its own answers here",
}


def compared(found: Comparison) -> RenderableType:
    """Who wins, beside what length alone would say, and what may be concluded."""
    from rich.console import Group

    return Group(*_blocks(found))


def _blocks(found: Comparison) -> Iterator[RenderableType]:
    from rich.text import Text

    first, second = found.first.model, found.second.model
    left_out = ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.left_out.items()))
    aside = f" (left out: {left_out})" if left_out else ""
    yield Text(visible(f"{second} against {first}"), style="bold")
    yield Text(f"{found.pairs:,} pairs on {found.prompts:,} held-out prompts{aside}")
    own = "" if found.is_judged_by is None else f"; {_JUDGED_BY[found.is_judged_by].format(first, second)}"
    yield Text(visible(f"judged in both orders by {found.judge}, {found.method}, {found.rubric}{own}\n"))
    yield table(
        ("", "mean tokens", "mean characters", "cut off"),
        [_wrote(side) for side in (found.first, found.second)],
        numbers=("mean tokens", "mean characters", "cut off"),
    )
    alike = f" ({found.identical:,} of them the same answer)" if found.identical else ""
    yield Text(
        f"\nwins {found.wins:,}, ties {found.ties:,}{alike}, losses {found.losses:,}, unreadable {found.unreadable:,}\n"
    )
    rows = [
        (title, percent(figure) if figure.value is not None else None, f"{figure.n:,}")
        for title, figure in (
            ("wins, ties count half", found.share),
            ("probability to be better", found.chance),
            ("ties", found.tie_share),
            ("verdicts that flip", found.swap_flip_share),
            ("wins by length alone", found.length_only),
            ("wins of the longer one", found.longer_won),
        )
    ]
    yield table(("", "of the second model", "of"), rows, numbers=("of the second model", "of"))
    yield Text(f"\nin brackets: 95% of {found.resamples:,} resamples of the prompts, seed {found.seed}")
    yield Text(visible(f"Did it improve? {_sentence(answer(found))}"), style="bold")
    if found.decided < LEAST_DECIDED:
        yield Text(f"Only {found.decided} prompts were won or lost; from fewer than {LEAST_DECIDED} nothing follows.")


def _wrote(side: Side) -> tuple[str | None, ...]:
    means = [None if mean is None else f"{mean:,.1f}" for mean in (side.tokens, side.characters)]
    return side.model, *means, f"{side.cut_off:,}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
