"""UltraFeedback: an instruction with completions, each with ratings and rationales for four aspects.

The overall score, 1 to 10, is known to be wrong for some rows; it is not used.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from selfreward.seeding.formats.base import Format, Reject, Row
from selfreward.seeding.formats.responses import Candidate, Candidates, converters, prompt_id
from selfreward.seeding.formats.turns import is_chat, user
from selfreward.seeding.formats.values import has, listed, objects, optional_number, optional_text, text

_ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")


def _read(row: Row) -> Candidates:
    turns = user(text(row.get("instruction"), '"instruction"'))
    found = objects(row.get("completions"), '"completions"')
    candidates = [_candidate(one, f'"completions": entry {i}') for i, one in enumerate(found, 1)]
    return Candidates(prompt_id(row, turns), turns, candidates)


def _candidate(completion: Mapping[str, Any], where: str) -> Candidate:
    return Candidate(
        response=partial(text, completion.get("response"), f'{where}: "response"'),
        quality=partial(_quality, completion, where),
        judgment=partial(_judgment, completion, where),
    )


def _quality(completion: Mapping[str, Any], where: str) -> float | None:
    fine = optional_number(completion.get("fine-grained_score"), f'{where}: "fine-grained_score"')
    if fine is not None:
        return fine
    ratings = [rating for _, rating, _ in _ratings(completion, where)]
    return sum(ratings) / len(ratings) if ratings else None


def _judgment(completion: Mapping[str, Any], where: str) -> tuple[float, str]:
    found = _ratings(completion, where)
    if not found:
        raise Reject("no_score", f'{where}: no rating in "annotations"')
    reasons = [f"{aspect.replace('_', ' ').capitalize()}: {why}" for aspect, _, why in found if why]
    if not reasons:
        raise Reject("no_rationale", f'{where}: no rationale in "annotations"')
    return sum(rating for _, rating, _ in found) / len(found), "\n".join(reasons)


def _ratings(completion: Mapping[str, Any], where: str) -> list[tuple[str, float, str]]:
    annotations = listed(completion.get("annotations"))
    found = []
    for aspect in _ASPECTS if isinstance(annotations, dict) else ():
        note = annotations.get(aspect)
        if not isinstance(note, dict) or note.get("Rating") == "N/A":
            continue
        rating = optional_number(note.get("Rating"), f"{where}: rating of {aspect}")
        why = next((note[key] for key in ("Rationale For Rating", "Rationale") if note.get(key)), None)
        if rating is not None:
            found.append((aspect, rating, optional_text(why, f"{where}: rationale of {aspect}").strip()))
    return found


ULTRAFEEDBACK = Format(
    name="ultrafeedback",
    about="UltraFeedback: instruction, completions, a list of {response, annotations, fine-grained_score, …}",
    columns=frozenset({"instruction", "completions", "prompt_id"}),
    fits=lambda row: has(row, "instruction") and is_chat(row.get("completions"), "response"),
    converters=converters(_read, judged=True),
    scale=(1, 5),
)
