"""Chosen and rejected: binarized UltraFeedback, TRL preference data and their like."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from selfreward.records import content_id
from selfreward.seeding.formats.base import Format, Part, Reject, Row, each
from selfreward.seeding.formats.responses import prompt_id
from selfreward.seeding.formats.turns import (
    PROMPT_COLUMNS,
    Chat,
    Turn,
    ift_row,
    is_chat,
    prompt_of,
    ranked_row,
    text_or_chat,
)
from selfreward.seeding.formats.values import column, listed, optional_number

_PAIRS = (("chosen", "rejected"), ("chosen_response", "rejected_response"))
_PROMPTS = ("prompt", "instruction", "input", "question")
_SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen_rating", "rejected_rating"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_avg_rating", "rejected_avg_rating"),
)


class _Pair(NamedTuple):
    prompt: Chat
    chosen: str
    rejected: str


def _names(row: Row) -> tuple[str, str] | None:
    return next(((a, b) for a, b in _PAIRS if a in row and b in row), None)


def _read(row: Row) -> _Pair:
    chosen_name, rejected_name = _names(row) or _PAIRS[0]
    prompt, chosen = _side(row, chosen_name)
    other, rejected = _side(row, rejected_name)
    if prompt != other:
        raise Reject("other_prompt", f'"{chosen_name}" and "{rejected_name}" answer different prompts')
    return _Pair(prompt, chosen, rejected)


def _side(row: Row, name: str) -> tuple[Chat, str]:
    """Prompt and response of one side: a text, the assistant's turn alone, or the whole conversation."""
    turns = text_or_chat(row.get(name), f'"{name}"', "assistant")
    if turns[-1].role != "assistant":
        raise Reject("bad_turns", f'"{name}" ends with the {turns[-1].role}; expected the assistant')
    if len(turns) == 1:
        return _prompt(row), turns[0].content
    ift_row(turns, f'"{name}"')  # the same order of turns is expected
    return turns[:-1], turns[-1].content


def _prompt(row: Row) -> Chat:
    return prompt_of(row, column(row, _PROMPTS) or _PROMPTS[0])


def _scores(row: Row) -> tuple[float, float] | None:
    for names in _SCORES:
        found = [optional_number(row.get(name), f'"{name}"') for name in names]
        if found[0] is not None and found[1] is not None:
            return found[0], found[1]
    return None


def _ift(row: Row) -> list[Part]:
    def part() -> Row:
        names = _names(row) or _PAIRS[0]
        prompt, chosen = _side(row, names[0])
        return ift_row((*prompt, Turn("assistant", chosen)), "the row")

    return [part]


def _ranked(row: Row) -> Iterator[Part]:
    pair = _read(row)
    scores = _scores(row)
    if scores is None:
        # Chosen and rejected can be compared with each other only, so each pair is a group of its own.
        group = content_id("pair", prompt_id(row, pair.prompt), pair.chosen, pair.rejected)
        yield partial(ranked_row, group, pair.prompt, pair.chosen, 0, None)
        yield partial(ranked_row, group, pair.prompt, pair.rejected, 1, None)
        return
    if scores[0] <= scores[1]:
        raise Reject(
            "not_better", f"chosen has the score {scores[0]:g} and rejected {scores[1]:g}; expected a higher one"
        )
    group = prompt_id(row, pair.prompt)
    yield partial(ranked_row, group, pair.prompt, pair.chosen, None, scores[0])
    yield partial(ranked_row, group, pair.prompt, pair.rejected, None, scores[1])


def _fits(row: Row) -> bool:
    names = _names(row)
    if names is None:
        return False
    return column(row, _PROMPTS) is not None or _many_turns(row[names[0]])


def _many_turns(value: Any) -> bool:
    value = listed(value)
    return is_chat(value, "role", "content") and len(value) > 1


PREFERENCE = Format(
    name="preference",
    about="binarized UltraFeedback and TRL preference data: prompt, chosen, rejected; texts or turns; scores if any",
    columns=frozenset(
        {name for pair in (*_PAIRS, *_SCORES) for name in pair} | PROMPT_COLUMNS | {*_PROMPTS, "prompt_id"}
    ),
    fits=_fits,
    converters={"ift": each(_ift), "ranked": each(_ranked)},
)
