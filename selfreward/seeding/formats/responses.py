"""Formats that have all of a prompt's responses in one row: how IFT, EFT and ranked rows come out of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from selfreward.records import content_id
from selfreward.seeding.formats.base import Convert, Part, Reject, Row, Target, each
from selfreward.seeding.formats.turns import Chat, Turn, eft_row, ift_row, ranked_row
from selfreward.seeding.formats.values import text


@dataclass(frozen=True)
class Candidate:
    """One response of a row; each value is made, or rejected, when it is asked for."""

    response: Callable[[], str]
    quality: Callable[[], float | None]
    judgment: Callable[[], tuple[float, str]]
    """Score and rationale."""


@dataclass(frozen=True)
class Candidates:
    prompt_id: str
    turns: Chat
    responses: Sequence[Candidate]


def converters(read: Callable[[Row], Candidates], *, judged: bool) -> dict[Target, Convert]:
    """IFT takes the best response, ranked and EFT take every one."""
    made: dict[Target, Convert] = {
        "ift": each(lambda row: [partial(_best, read(row))]),
        "ranked": each(lambda row: _ranked(read(row))),
    }
    return {**made, "eft": each(lambda row: _judged(read(row)))} if judged else made


def prompt_id(row: Row, turns: Chat) -> str:
    """The source's own id of the prompt, or one made of its words."""
    value = row.get("prompt_id")
    if isinstance(value, str) and value.strip():
        return text(value, '"prompt_id"')
    if isinstance(value, int):
        return str(value)
    return content_id("prompt", *(part for turn in turns for part in turn))


def _best(found: Candidates) -> Row:
    usable = _scored(found)
    if len(found.responses) == 1:
        best = found.responses[0]
    elif usable:
        best = max(usable, key=lambda pair: pair[1])[0]  # the first of equals
    else:
        raise Reject("no_score", f"none of the {len(found.responses)} responses has a score to choose the best by")
    return ift_row((*found.turns, Turn("assistant", best.response())), "the row")


def _scored(found: Candidates) -> list[tuple[Candidate, float]]:
    pairs = []
    for candidate in found.responses:
        try:
            quality = candidate.quality()
            candidate.response()
        except Reject:
            continue  # a bad response is not the best one
        if quality is not None:
            pairs.append((candidate, quality))
    return pairs


def _ranked(found: Candidates) -> list[Part]:
    if len(_scored(found)) < 2:
        raise Reject("one_response", "fewer than two responses with a score; there is nothing to rank")
    return [partial(_ranked_row, found, candidate) for candidate in found.responses]


def _ranked_row(found: Candidates, candidate: Candidate) -> Row:
    quality = candidate.quality()
    if quality is None:
        raise Reject("no_score", "a response has no score")
    return ranked_row(found.prompt_id, found.turns, candidate.response(), None, quality)


def _judged(found: Candidates) -> list[Part]:
    return [partial(_judged_row, found, candidate) for candidate in found.responses]


def _judged_row(found: Candidates, candidate: Candidate) -> Row:
    response = candidate.response()
    score, rationale = candidate.judgment()
    return eft_row(found.turns, response, rationale, score)
