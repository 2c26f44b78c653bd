"""What is listed of an iteration, which pairs of it, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import FiniteFloat, StringConstraints

from selfreward.diagnosis.pair_flags import PairFlag
from selfreward.records import Frozen

ListOf = Literal["responses", "judgments", "labelled"]
"""Pairs of responses, pairs of judgments, or responses with a label of their own."""
LISTS_OF: tuple[ListOf, ...] = get_args(ListOf)
STAGE_OF: Mapping[ListOf, str] = {"responses": "pairs", "judgments": "judgment_pairs", "labelled": "labelled"}
PairSort = Literal[
    "margin",
    "chosen_score",
    "rejected_score",
    "variance",
    "length",
    "length_difference",
    "length_ratio",
    "prompt",
    "order",
]
PAIR_SORTS: tuple[PairSort, ...] = get_args(PairSort)
ORDER: Mapping[PairSort, tuple[str, bool]] = {
    "margin": ("margin", False),
    "chosen_score": ("chosen_score", False),
    "rejected_score": ("rejected_score", False),
    "variance": ("variance", False),
    "length": ("chosen_tokens", False),
    "length_difference": ("chosen_tokens - rejected_tokens", False),
    "length_ratio": ("length_ratio", False),
    "prompt": ("prompt", True),
    "order": ("place", True),
}
"""What each sort means in SQL, and whether it is ascending unless the user says otherwise."""
RANGES: Mapping[str, str] = {
    "chosen": "chosen_score",
    "rejected": "rejected_score",
    "margin": "margin",
    "variance": "variance",
    "length_ratio": "length_ratio",
}
"""By the end of a filter's ``min_…`` and ``max_…`` the column."""


SearchedText = Annotated[str, StringConstraints(max_length=200)]
"""Words to look for."""


class PairFilter(Frozen):
    """Which pairs to show. What is None asks for nothing; ends belong to a range; a pair without the figure is out."""

    min_chosen: FiniteFloat | None = None
    """Lowest score of the chosen response."""
    max_chosen: FiniteFloat | None = None
    """Highest score of the chosen response."""
    min_rejected: FiniteFloat | None = None
    """Lowest score of the rejected response."""
    max_rejected: FiniteFloat | None = None
    """Highest score of the rejected response."""
    min_margin: FiniteFloat | None = None
    """Least difference of the two scores."""
    max_margin: FiniteFloat | None = None
    """Greatest difference of the two scores."""
    min_variance: FiniteFloat | None = None
    """Least variance of the verdicts, as :attr:`PairRow.variance` has it."""
    max_variance: FiniteFloat | None = None
    """Greatest variance of the verdicts."""
    min_length_ratio: FiniteFloat | None = None
    """Least chosen over rejected length, in generated tokens."""
    max_length_ratio: FiniteFloat | None = None
    """Greatest chosen over rejected length, in generated tokens."""
    flags: tuple[PairFlag, ...] = ()
    """Pairs with one of these flags at least."""
    overridden: bool | None = None
    """Only pairs that a person has overridden, or only the others."""
    text: SearchedText = ""
    """Words that the prompt or a response holds, as they stand, in upper or lower case."""
    prompt_id: str | None = None
    """Pairs of one prompt."""


EVERY_PAIR = PairFilter()
