"""Rules that look at each response by itself."""

from collections import Counter

import pytest
from scored_responses import scored

from selfreward.pair_rules.positives import PositivesConfig, positives
from selfreward.pair_rules.settings import nothing_labelled
from selfreward.pair_rules.threshold import by_threshold

SCORED = [scored(2, 4.0, "c"), scored(0, 5.0, "a"), scored(3, 1.0, "a "), scored(1, 3.5, "b")]


@pytest.mark.parametrize(("least", "kept", "low"), [(5.0, [0], 2), (4.0, [0, 2], 1), (0.0, [0, 1, 2], 0), (6.0, [], 3)])
def test_positives_are_those_that_reach_the_score(least: float, kept: list[int], low: int) -> None:
    found, left_out = positives(SCORED, least)
    assert [one.response.index for one, _ in found] == kept
    assert all(wanted for _, wanted in found)
    assert left_out == +Counter({"low_score": low, "repeated": 1})


def test_a_threshold_keeps_both_sides() -> None:
    found, left_out = by_threshold(SCORED, 4.0)
    assert [(one.response.index, wanted) for one, wanted in found] == [(0, True), (1, False), (2, True)]
    assert left_out == Counter({"repeated": 1})


def test_the_least_score_is_the_top_of_the_scale_where_it_is_not_set() -> None:
    assert PositivesConfig().on_scale(10.0).min_score == 10.0
    assert PositivesConfig(min_score=3.0).on_scale(10.0).min_score == 3.0


def test_why_nothing_is_labelled() -> None:
    assert nothing_labelled(SCORED, positives(SCORED, 6.0)[0]) == "none_good_enough"
    assert nothing_labelled([], []) == "none_usable"
    assert nothing_labelled(SCORED, positives(SCORED, 4.0)[0]) is None
