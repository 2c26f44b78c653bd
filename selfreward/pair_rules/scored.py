"""What every pair rule looks at: the responses that could be trained on, with their readable verdicts averaged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from selfreward.records import Judgment, Response


@dataclass(frozen=True, slots=True)
class Scored:
    """A response and its mean score."""

    response: Response
    score: float


def usable_responses(
    responses: Sequence[Response], judgments: Sequence[Judgment], min_readable: int
) -> tuple[list[Scored], Counter[str]]:
    """The responses of one prompt that may be in a pair, and how many may not, by reason.

    Reasons: ``truncated``, ``empty``, ``special_tokens``, ``unjudged`` (fewer than ``min_readable`` verdicts could be
    read). Responses and judgments are joined by id.
    """
    readable: dict[str, list[float]] = {response.id: [] for response in responses}
    for judgment in judgments:
        response_id, *others = judgment.response_ids
        if judgment.score is not None and not others:  # a comparison of two is not a score of one
            readable[response_id].append(judgment.score)
    usable, unusable = [], Counter[str]()
    for response in responses:
        scores = readable[response.id]
        reason = _untrainable(response) or ("unjudged" if len(scores) < min_readable else None)
        if reason:
            unusable[reason] += 1
        else:
            usable.append(Scored(response, fmean(scores)))
    return usable, unusable


def _untrainable(response: Response) -> str | None:
    if response.finish_reason == "length":
        return "truncated"
    if not response.text.strip():
        return "empty"
    return "special_tokens" if response.special_tokens else None
