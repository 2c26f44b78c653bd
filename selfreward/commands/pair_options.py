"""Which pairs or labelled responses: the filters and the order that several commands share."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from selfreward.query.filters import ListOf
    from selfreward.query.labelled import LabelledFilter, LabelledSort
    from selfreward.query.pairs import PairFilter, PairSort

F = TypeVar("F")
T = TypeVar("T", bound=str)

_RANGE = "LOW:HIGH"
Of = Annotated[
    str,
    typer.Option(
        help="responses: pairs of them; judgments: pairs of them, where the recipe has meta_judge; labelled: responses "
        "with a label, where the pair rule makes these in the place of pairs."
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        help="margin, chosen_score, rejected_score, variance, length, length_difference, length_ratio, prompt or "
        "order; of labelled responses score, length, prompt or order."
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
Score = Annotated[str | None, typer.Option(metavar=_RANGE, help="Score of a labelled response.")]
Wanted = Annotated[
    bool | None, typer.Option("--wanted/--unwanted", help="Labelled responses that are wanted, or the others.")
]
Text = Annotated[str, typer.Option(metavar="WORDS", help="Words in the prompt or a response, in upper or lower case.")]


def pair_filter(
    ranges: dict[str, str | None], flags: list[str] | None, overridden: bool | None, text: str
) -> "PairFilter":
    """The filter that the options describe; ``ranges`` are by the names that follow ``min_`` and ``max_``."""
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
    return _checked(PairFilter, **values)


def label_filter(score: str | None, wanted: bool | None, overridden: bool | None, text: str) -> "LabelledFilter":
    """The filter of labelled responses that the options describe."""
    from selfreward.query.labelled import LabelledFilter

    low, high = (None, None) if score is None else _ends("score", score)
    return _checked(LabelledFilter, wanted=wanted, min_score=low, max_score=high, overridden=overridden, text=text)


def pair_sort(name: str) -> "PairSort":
    """A sort of pairs by its name."""
    from selfreward.query.pairs import PAIR_SORTS

    return one_of("--sort", name, PAIR_SORTS)


def label_sort(name: str) -> "LabelledSort":
    """A sort of labelled responses by its name."""
    from selfreward.query.labelled import LABELLED_SORTS

    return one_of("--sort", name, LABELLED_SORTS)


def list_of(name: str) -> "ListOf":
    """What is listed, by its name."""
    from selfreward.query.filters import LISTS_OF

    return one_of("--of", name, LISTS_OF)


def one_of(option: str, name: str, known: Sequence[T]) -> T:
    """What is called so."""
    for one in known:
        if name == one:
            return one
    raise typer.BadParameter(f"{option} {name}: expected one of {', '.join(known)}")


def refuse(of: str, given: Mapping[str, Any]) -> None:
    """Options that say nothing about what is listed."""
    for option, value in given.items():
        if value is not None and value != "":
            raise typer.BadParameter(f"--{option.replace('_', '-')}: is no filter of --of {of}; leave it out")


def _checked(kind: type[F], **values: Any) -> F:
    from pydantic import ValidationError

    try:
        return kind(**values)
    except ValidationError as error:  # all else was looked at before
        raise typer.BadParameter(f"--text: {error.errors()[0]['msg']}") from error


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
