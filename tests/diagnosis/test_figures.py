"""What an iteration's records say about it."""

from typing import Any

import pytest

from selfreward.records import AspectScore, Judgment, Message, PreferencePair, Response
from selfreward.stages.metrics import judgment_metrics, pair_metrics, response_metrics


def response(tokens: int, finish_reason: Any = "stop") -> Response:
    return Response(
        id=f"r-{tokens}",
        prompt_id="p",
        index=0,
        text="x",
        token_ids=tuple(range(tokens)),
        finish_reason=finish_reason,
        prompt_tokens=1,
        special_tokens=False,
        model="M1",
    )


def judgment(response_id: str, score: float | None) -> Judgment:
    return Judgment(
        id="j",
        prompt_id="p",
        response_ids=(response_id,),
        method="sampled",
        rubric="x@1",
        sample=0,
        score=score,
        raw="",
        prompt_tokens=1,
        model="M1",
    )


def pair(margin: float, chosen: int, rejected: int, retokenised: bool = False) -> PreferencePair:
    turn = (Message(role="assistant", content="x"),)
    return PreferencePair(
        id="pair",
        prompt=(Message(role="user", content="x"),),
        chosen=turn,
        rejected=turn,
        prompt_id="p",
        chosen_id="a",
        rejected_id="b",
        chosen_score=margin,
        rejected_score=0,
        margin=margin,
        chosen_token_ids=tuple(range(chosen)),
        rejected_token_ids=tuple(range(rejected)),
        retokenised=retokenised,
    )


def test_nothing_is_no_error() -> None:
    assert response_metrics([]) == {"responses": 0}
    assert judgment_metrics([], {}) == {"judgments": 0}
    assert pair_metrics([], 0) == {"pairs": 0}


def test_responses() -> None:
    found = response_metrics(iter([response(10), response(20), response(30), response(40, "length")]))
    assert found == {
        "responses": 4,
        "response_tokens": {"mean": 25.0, "p25": 17.5, "p50": 25.0, "p75": 32.5, "max": 40.0},
        "truncated_share": 0.25,
    }
    assert response_metrics([response(7)])["response_tokens"] == dict.fromkeys(("mean", "p25", "p50", "p75", "max"), 7)


def test_judgments() -> None:
    lengths = {"a": 10, "b": 20, "c": 30}
    scores = [("a", 1.0), ("b", 2.5), ("c", 4.4), ("c", 4.4), ("a", None)]
    found = judgment_metrics((judgment(r, s) for r, s in scores), lengths)
    assert (found["judgments"], found["unreadable_share"]) == (5, 0.2)
    assert found["score_histogram"] == {"1": 1, "3": 1, "4": 2}
    assert found["score"]["mean"] == pytest.approx((1 + 2.5 + 4.4 + 4.4) / 4)
    assert found["score_length_correlation"] == pytest.approx(0.9975, abs=1e-3)


def test_the_mean_of_each_aspect() -> None:
    aspects = [(4.0, 1.0), (2.0, 2.0)]
    judgments = [
        judgment("a", 3.0).model_copy(
            update={"aspects": (AspectScore(name="honest", score=one), AspectScore(name="kind", score=other))}
        )
        for one, other in aspects
    ]
    assert judgment_metrics(judgments, {"a": 1})["aspects"] == {"honest": 3.0, "kind": 1.5}
    assert "aspects" not in judgment_metrics([judgment("a", 3.0)], {"a": 1})


@pytest.mark.parametrize("scores", [[3.0], [3.0, 3.0]])
def test_no_correlation_without_variation(scores: list[float]) -> None:
    found = judgment_metrics([judgment("ab"[i], s) for i, s in enumerate(scores)], {"a": 1, "b": 2})
    assert found["score_length_correlation"] is None
    same_length = judgment_metrics([judgment("a", 1.0), judgment("b", 2.0)], {"a": 5, "b": 5})
    assert same_length["score_length_correlation"] is None


def test_judgments_that_are_all_unreadable() -> None:
    assert judgment_metrics([judgment("a", None)], {"a": 1}) == {"judgments": 1, "unreadable_share": 1.0}


def test_pairs() -> None:
    pairs = [pair(1.0, 10, 5), pair(2.0, 5, 10), pair(3.0, 20, 5, True), pair(4.0, 5, 5)]
    found = pair_metrics(iter(pairs), prompts=8)
    assert (found["pairs"], found["pairs_per_prompt"], found["retokenised"]) == (4, 0.5, 1)
    assert found["margin"]["mean"] == 2.5
    assert found["chosen_minus_rejected_tokens"] == pytest.approx((5 - 5 + 15 + 0) / 4)
    assert found["longer_is_chosen_share"] == 0.5
