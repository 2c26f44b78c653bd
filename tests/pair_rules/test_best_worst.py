"""Highest against lowest. What holds for every rule is in test_every_rule.py."""

from typing import Any

import pytest
from hypothesis import given
from scored_responses import CANDIDATES, MARGINS, all_scored, candidates, indices, scored

from selfreward.pair_rules.best_worst import best_worst


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        ((), "too_few_usable"),
        ((3.0,), "too_few_usable"),
        ((3.0, 3.0), "tie"),
        ((3.0, 3.0, 3.0, 3.0), "tie"),
        ((1.0, 4.0), [(1, 0)]),
        ((2.0, 5.0, 0.0, 3.0), [(1, 2)]),
        ((5.0, 5.0, 1.0, 1.0), [(0, 2)]),
        ((1.0, 1.0, 5.0, 5.0), [(2, 0)]),
        ((0.0, 0.0001), [(1, 0)]),
    ],
)
def test_best_and_worst(scores: tuple[float, ...], found: Any) -> None:
    assert indices(best_worst(all_scored(*scores), 0.0)) == found


@pytest.mark.parametrize(
    ("margin", "reason"), [(0.0, None), (1.0, None), (1.5, None), (1.51, "small_margin"), (9.0, "small_margin")]
)
def test_a_margin(margin: float, reason: str | None) -> None:
    result = best_worst(all_scored(3.0, 1.5, 2.0), margin)
    assert (result if isinstance(result, str) else None) == reason


@pytest.mark.parametrize(("one", "other"), [("same", "same"), ("same", " same\n"), ("", " ")])
def test_the_same_text_twice_is_no_pair(one: str, other: str) -> None:
    assert best_worst([scored(0, 5.0, one), scored(1, 1.0, other)], 0.0) == "identical"
    assert best_worst([scored(0, 5.0, one), scored(1, 1.0, other), scored(2, 3.0)], 0.0) == "identical"


@given(CANDIDATES, MARGINS)
def test_chosen_is_the_best_and_rejected_the_worst(drawn: list[tuple[float, str]], margin: float) -> None:
    result = best_worst(candidates(drawn), margin)
    if not isinstance(result, str):
        ((chosen, rejected),) = result
        assert chosen.score == max(score for score, _ in drawn)
        assert rejected.score == min(score for score, _ in drawn)
