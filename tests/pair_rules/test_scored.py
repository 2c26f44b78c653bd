"""Which responses may be in a pair."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.pair_rules.scored import usable_responses
from selfreward.records import Judgment, Response


def response(index: int, **changes: Any) -> Response:
    fields: dict[str, Any] = {"id": f"r-{index}", "prompt_id": "p", "index": index, "text": f"text {index}"}
    fields |= {"token_ids": (1,), "finish_reason": "stop", "prompt_tokens": 1, "special_tokens": False, "model": "M1"}
    return Response.model_validate({**fields, **changes})


def judgment(index: int, score: float | None, sample: int = 0) -> Judgment:
    return Judgment(
        id=f"j-{index}-{sample}",
        prompt_id="p",
        response_ids=(f"r-{index}",),
        method="sampled",
        rubric="x@1",
        sample=sample,
        score=score,
        raw="",
        prompt_tokens=1,
        model="M1",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"finish_reason": "length"}, "truncated"),
        ({"text": ""}, "empty"),
        ({"text": " \n\t"}, "empty"),
        ({"special_tokens": True}, "special_tokens"),
        ({"finish_reason": "length", "text": "", "special_tokens": True}, "truncated"),
    ],
)
def test_reasons(changes: dict[str, Any], reason: str | None) -> None:
    usable, unusable = usable_responses([response(0, **changes)], [judgment(0, 5.0)], 1)
    assert [s.response.id for s in usable] == ([] if reason else ["r-0"])
    assert unusable == (Counter({reason: 1}) if reason else Counter())


def test_the_score_is_the_mean_of_the_readable_verdicts() -> None:
    verdicts = [judgment(0, 4.0, 0), judgment(0, None, 1), judgment(0, 1.0, 2), judgment(1, 2.0, 0)]
    usable, unusable = usable_responses([response(0), response(1)], verdicts, 1)
    assert [(s.response.id, s.score) for s in usable] == [("r-0", 2.5), ("r-1", 2.0)]
    assert not unusable


@pytest.mark.parametrize(("least", "usable"), [(1, 2), (2, 1), (3, 0)])
def test_too_few_readable_verdicts(least: int, usable: int) -> None:
    verdicts = [judgment(0, 4.0, 0), judgment(0, 3.0, 1), judgment(0, None, 2), judgment(1, 2.0, 0)]
    found, unusable = usable_responses([response(0), response(1)], verdicts, least)
    assert len(found) == usable
    assert unusable["unjudged"] == 2 - usable


def test_never_judged_is_unjudged() -> None:
    assert usable_responses([response(0)], [], 1) == ([], Counter(unjudged=1))
    assert usable_responses([response(0)], [judgment(0, None)], 1) == ([], Counter(unjudged=1))


def test_zero_is_a_score_like_any_other() -> None:
    ((only,), _) = usable_responses([response(0)], [judgment(0, 0.0)], 1)
    assert only.score == 0.0


SCORES = st.lists(st.lists(st.none() | st.floats(0, 5), max_size=4), max_size=6)


@given(SCORES, st.randoms(use_true_random=False), st.integers(1, 3))
def test_every_response_is_usable_or_counted_and_order_does_not_matter(scores: Any, order: Any, least: int) -> None:
    responses = [response(i) for i in range(len(scores))]
    judgments = [judgment(i, s, k) for i, own in enumerate(scores) for k, s in enumerate(own)]
    usable, unusable = usable_responses(responses, judgments, least)
    assert len(usable) + unusable.total() == len(responses)
    assert [s.response.index for s in usable] == [
        i for i, own in enumerate(scores) if sum(s is not None for s in own) >= least
    ]
    order.shuffle(judgments)
    again, counted = usable_responses(responses, judgments, least)
    assert counted == unusable
    assert [s.score for s in again] == pytest.approx([s.score for s in usable])
