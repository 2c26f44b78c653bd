"""Which pairs: the filters and the order that several commands share."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from selfreward.query.judgment_pairs import PairsOf
    from selfreward.query.pairs import PairFilter, PairSort

_RANGE = "LOW:HIGH"
Sort = Annotated[
    str,
    typer.Option(
        help="margin, chosen_score, rejected_score, variance, length, length_difference, length_ratio, prompt or order."
    ),
]
Ascending = Annotated[
    bool | None, typer.Option("--ascending/--descending", help="Direction; numbers begin with the highest otherwise.")
]
Chosen = Annotated[
    str | None, typer.Option(metavar=_RANGE, help="Score of the chosen side; one end may be left out, as in 3: or :3.")
]
Rejected = Annotated[str | None, typer.Option(metavar=_RANGE, help="Score of the rejected side.")]
Margin = Annotated[str | None, typer.Option(metavar=_RANGE, help="Difference of the two scores.")]
Variance = Annotated[
    str | None, typer.Option(metavar=_RANGE, help="Variance of the verdicts, of the side where they agree less.")
]
LengthRatio = Annotated[str | None, typer.Option(metavar=_RANGE, help="Chosen over rejected length, in tokens.")]
Flag = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FLAG",
        help="injection, length, refusal, repetition, near_identical, retokenised or swapped; of several, any.",
    ),
]
Overridden = Annotated[
    bool | None, typer.Option("--overridden/--not-overridden", help="Pairs that a person decided about, or the others.")
]
Text = Annotated[str, typer.Option(metavar="WORDS", help="Words in the prompt or a response, in upper or lower case.")]


def pair_filter(
    ranges: dict[str, str | None], flags: list[str] | None, overridden: bool | None, text: str
) -> "PairFilter":
    """The filter that the options describe; ``ranges`` are by the names that follow ``min_`` and ``max_``."""
    from pydantic import ValidationError

    from selfreward.diagnosis.pair_flags import PAIR_FLAGS
    from selfreward.query.pairs import PairFilter

    for flag in flags or ():
        if flag not in PAIR_FLAGS:
            raise typer.BadParameter(f"--flag {flag}: expected one of {', '.join(PAIR_FLAGS)}")
    values: dict[str, Any] = {"flags": tuple(flags or ()), "overridden": overridden, "text": text}
    for name, given in ranges.items():
        if given is not None:
            low, high = _ends(name, given)
            values |= {f"min_{name}": low, f"max_{name}": high}
    try:
        return PairFilter(**values)
    except ValidationError as error:
        raise typer.BadParameter(f"--text: {error.errors()[0]['msg']}") from error


def pair_sort(name: str) -> "PairSort":
    """A sort by its name."""
    from selfreward.query.pairs import PAIR_SORTS

    for known in PAIR_SORTS:
        if name == known:
            return known
    raise typer.BadParameter(f"--sort {name}: expected one of {', '.join(PAIR_SORTS)}")


def pairs_of(name: str) -> "PairsOf":
    """What is paired, by its name."""
    from selfreward.query.judgment_pairs import PAIRS_OF

    for known in PAIRS_OF:
        if name == known:
            return known
    raise typer.BadParameter(f"--of {name}: expected one of {', '.join(PAIRS_OF)}")


def _ends(name: str, given: str) -> tuple[float | None, float | None]:
    option = f"--{name.replace('_', '-')}"
    low, colon, high = given.partition(":")
    try:
        ends = tuple(float(end) if end.strip() else None for end in (low, high))
    except ValueError:
        colon, ends = "", (None, None)
    if not colon or any(end is not None and not math.isfinite(end) for end in ends):
        raise typer.BadParameter(f"{option} {given}: expected LOW:HIGH, such as 1:2.5, or one end, such as 1: or :2.5")
    return ends[0], ends[1]
