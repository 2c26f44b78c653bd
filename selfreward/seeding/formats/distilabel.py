"""distilabel: an instruction with lists of generations, ratings and rationales, one entry a response in each."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from selfreward.seeding.formats.base import Format, Reject, Row
from selfreward.seeding.formats.responses import Candidate, Candidates, converters, prompt_id
from selfreward.seeding.formats.turns import PROMPT_COLUMNS, prompt_of
from selfreward.seeding.formats.values import (
    column,
    given,
    listed,
    number,
    optional_number,
    optional_text,
    plain_list,
    text,
)

_PROMPTS = ("instruction", "input", "prompt")
_GENERATIONS = ("generations", "responses")
_RATINGS = ("ratings", "rating", "scores")
_RATIONALES = ("rationales", "rationale")


def _read(row: Row) -> Candidates:
    prompt = column(row, _PROMPTS) or _PROMPTS[0]
    turns = prompt_of(row, prompt)
    name = column(row, _GENERATIONS) or _GENERATIONS[0]
    generations = plain_list(row.get(name), f'"{name}"')
    if not generations:
        raise Reject("bad_list", f'"{name}" is an empty list')
    ratings, rationales = (_beside(row, names, len(generations)) for names in (_RATINGS, _RATIONALES))
    candidates = [
        Candidate(
            response=partial(text, response, f'"{name}": entry {i}'),
            quality=partial(optional_number, rating, f"rating {i}"),
            judgment=partial(_judgment, rating, rationale, i),
        )
        for i, (response, rating, rationale) in enumerate(zip(generations, ratings, rationales, strict=True), 1)
    ]
    return Candidates(prompt_id(row, turns), turns, candidates)


def _beside(row: Row, names: Sequence[str], length: int) -> list[Any]:
    name = column(row, names)
    if name is None or not given(row[name]):
        return [None] * length
    values = plain_list(row[name], f'"{name}"')
    if len(values) != length:
        raise Reject("bad_list", f'"{name}" has {len(values)} entries for {length} responses')
    return values


def _judgment(rating: Any, rationale: Any, i: int) -> tuple[float, str]:
    score = number(rating, f"rating {i}")
    why = optional_text(rationale, f"rationale {i}").strip()
    if not why:
        raise Reject("no_rationale", f"rationale {i} is missing or empty")
    return score, why


def _fits(row: Row) -> bool:
    prompt, name = column(row, _PROMPTS), column(row, _GENERATIONS)
    return prompt is not None and name is not None and isinstance(listed(row[name]), list)


DISTILABEL = Format(
    name="distilabel",
    about="distilabel: instruction, generations, ratings, rationales (the last three are lists)",
    columns=frozenset({*_PROMPTS, *_GENERATIONS, *_RATINGS, *_RATIONALES, *PROMPT_COLUMNS, "prompt_id"}),
    fits=_fits,
    converters=converters(_read, judged=True),
)
