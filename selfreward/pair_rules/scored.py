"""What every pair rule looks at: the responses that could be trained on, with their readable verdicts averaged."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from types import MappingProxyType

from selfreward.records import Judgment, Response

NOT_GIVEN: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Scored:
    """A response and its mean score."""

    response: Response
    score: float
    initial: bool = False
    """Whether the initial model wrote it, for a rule that asks for its responses."""
    before: float | None = None
    """Mean score by the previous model, for a rule that asks for its verdicts; None where they could not be read."""

    @property
    def id(self) -> str:
        """The response's."""
        return self.response.id


@dataclass(frozen=True, slots=True)
class Beside:
    """What a rule may ask for beside an iteration's own responses and judgments; empty where it does not."""

    initial: Sequence[Response] = ()
    """Responses of the initial model to the same prompts."""
    initial_judgments: Sequence[Judgment] = ()
    """Of those, by this iteration's judge."""
    previous_judgments: Sequence[Judgment] = ()
    """Of the iteration's own responses, by the model before."""


def all_usable(
    responses: Sequence[Response],
    judgments: Sequence[Judgment],
    beside: Beside,
    min_readable: int,
    given: Mapping[str, float] = NOT_GIVEN,
) -> tuple[list[Scored], Counter[str]]:
    """The usable responses of one prompt with what the rule asked for; reasons as in :func:`usable_responses`.

    Those of the initial model's responses begin with ``initial_``.
    """
    usable, unusable = usable_responses(responses, judgments, min_readable, given)
    initial, more = usable_responses(beside.initial, beside.initial_judgments, min_readable, given)
    unusable.update({f"initial_{reason}": count for reason, count in more.items()})
    before = _means(beside.previous_judgments)
    own = [replace(one, before=before.get(one.response.id)) for one in usable]
    return [*own, *(replace(one, initial=True) for one in initial)], unusable


def usable_responses(
    responses: Sequence[Response],
    judgments: Sequence[Judgment],
    min_readable: int,
    given: Mapping[str, float] = NOT_GIVEN,
) -> tuple[list[Scored], Counter[str]]:
    """The responses of one prompt that may be in a pair, and how many may not, by reason.

    ``given`` are scores that a person gave, by response; they stand in the place of all verdicts.

    Reasons: ``truncated``, ``empty``, ``special_tokens``, ``unjudged`` (fewer than ``min_readable`` verdicts could be
    read). Responses and judgments are joined by id.
    """
    readable = _readable(judgments)
    usable, unusable = [], Counter[str]()
    for response in responses:
        scores, own = readable.get(response.id, []), given.get(response.id)
        reason = untrainable(response) or ("unjudged" if own is None and len(scores) < min_readable else None)
        if reason:
            unusable[reason] += 1
        else:
            usable.append(Scored(response, fmean(scores) if own is None else own))
    return usable, unusable


def _readable(judgments: Sequence[Judgment]) -> dict[str, list[float]]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for judgment in judgments:
        response_id, *others = judgment.response_ids
        if judgment.score is not None and not others:  # a comparison of two is not a score of one
            found[response_id].append(judgment.score)
    return dict(found)


def _means(judgments: Sequence[Judgment]) -> dict[str, float]:
    return {response_id: fmean(scores) for response_id, scores in _readable(judgments).items()}


def untrainable(response: Response) -> str | None:
    """Why a response is never trained on, however it was judged."""
    if response.finish_reason == "length":
        return "truncated"
    if not response.text.strip():
        return "empty"
    return "special_tokens" if response.special_tokens else None
