"""Highest against lowest: never a tie, never the same text, and the order of the responses does not matter."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.pair_rules.best_worst import BestWorstConfig, best_worst
from selfreward.pair_rules.scored import Scored
from selfreward.records import Response


def scored(index: int, score: float, text: str | None = None) -> Scored:
    response = Response(
        id=f"r-{index}",
        prompt_id="p",
        index=index,
        text=f"text {index}" if text is None else text,
        token_ids=(1,),
        finish_reason="stop",
        prompt_tokens=1,
        special_tokens=False,
        model="M1",
    )
    return Scored(response, score)


def all_scored(*scores: float) -> list[Scored]:
    return [scored(i, score) for i, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        ((), "too_few_usable"),
        ((3.0,), "too_few_usable"),
        ((3.0, 3.0), "tie"),
        ((3.0, 3.0, 3.0, 3.0), "tie"),
        ((1.0, 4.0), (1, 0)),
        ((2.0, 5.0, 0.0, 3.0), (1, 2)),
        ((5.0, 5.0, 1.0, 1.0), (0, 2)),
        ((1.0, 1.0, 5.0, 5.0), (2, 0)),
        ((0.0, 0.0001), (1, 0)),
    ],
)
def test_best_and_worst(scores: tuple[float, ...], found: Any) -> None:
    result = best_worst(all_scored(*scores), BestWorstConfig())
    assert (result if isinstance(result, str) else tuple(s.response.index for s in result)) == found


@pytest.mark.parametrize(
    ("margin", "reason"), [(0.0, None), (1.0, None), (1.5, None), (1.51, "small_margin"), (9.0, "small_margin")]
)
def test_a_margin(margin: float, reason: str | None) -> None:
    result = best_worst(all_scored(3.0, 1.5, 2.0), BestWorstConfig(min_margin=margin))
    assert (result if isinstance(result, str) else None) == reason


@pytest.mark.parametrize(("one", "other"), [("same", "same"), ("same", " same\n"), ("", " ")])
def test_the_same_text_twice_is_no_pair(one: str, other: str) -> None:
    assert best_worst([scored(0, 5.0, one), scored(1, 1.0, other)], BestWorstConfig()) == "identical"


ANY = st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.5, 4.9, 5.0]), st.sampled_from("abc")), max_size=7)


@given(ANY, st.sampled_from([0.0, 0.1, 1.0, 2.5]), st.randoms(use_true_random=False))
def test_what_always_holds(drawn: list[tuple[float, str]], margin: float, order: Any) -> None:
    candidates = [scored(i, score, text) for i, (score, text) in enumerate(drawn)]
    config = BestWorstConfig(min_margin=margin)
    result = best_worst(candidates, config)
    shuffled = list(candidates)
    order.shuffle(shuffled)
    assert best_worst(shuffled, config) == result
    if isinstance(result, str):
        assert result in {"too_few_usable", "tie", "small_margin", "identical"}
    else:
        chosen, rejected = result
        assert chosen.score > rejected.score
        assert chosen.score - rejected.score >= margin
        assert chosen.response.text != rejected.response.text
        assert chosen.score == max(score for score, _ in drawn)
        assert rejected.score == min(score for score, _ in drawn)
