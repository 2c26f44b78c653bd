"""Shortest of the best against longest of the worst."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scored_responses import indices, scored

from selfreward.pair_rules.best_worst import best_worst
from selfreward.pair_rules.length_controlled import LengthControlledConfig, length_controlled


def lengths(*scores_and_lengths: tuple[float, int]) -> Any:
    return [scored(i, score, "abcdefg"[i] * length) for i, (score, length) in enumerate(scores_and_lengths)]


@pytest.mark.parametrize(
    ("rho", "found"),
    [
        (0.0, [(0, 3)]),  # only equal scores share a tier
        (0.1, [(1, 3)]),  # down to 4.5, and up to 0.5
        (0.19, [(1, 3)]),
        (0.2, [(1, 4)]),  # up to 1.0
        (0.4, [(2, 4)]),  # down to 3.0
    ],
)
def test_tiers(rho: float, found: Any) -> None:
    given_ = lengths((5.0, 9), (4.5, 5), (3.0, 2), (0.0, 4), (1.0, 30))
    assert indices(length_controlled(given_, rho, 0.0)) == found


def test_of_equal_lengths_the_further_score_and_then_the_lowest_index() -> None:
    assert indices(
        length_controlled(lengths((4.8, 3), (5.0, 3), (5.0, 3), (0.1, 3), (0.0, 3), (0.0, 3)), 0.1, 0.0)
    ) == [(1, 4)]


def test_a_margin_holds_for_the_pair_and_not_for_the_range_alone() -> None:
    given_ = lengths((5.0, 9), (3.5, 1), (0.0, 2), (1.5, 9))
    assert indices(length_controlled(given_, 0.4, 2.0)) == [(1, 3)]
    assert length_controlled(given_, 0.4, 2.1) == "small_tier_margin"
    assert length_controlled(given_, 0.4, 5.1) == "small_margin"


def test_surrounding_space_is_no_length() -> None:
    given_ = [scored(0, 5.0, "aa"), scored(1, 5.0, f"{' ' * 50}b\n"), scored(2, 0.0, "c"), scored(3, 0.0, "dd")]
    assert indices(length_controlled(given_, 0.0, 0.0)) == [(1, 3)]


def test_the_same_text_at_both_ends_is_no_pair() -> None:
    assert length_controlled([scored(0, 5.0, "x"), scored(1, 0.0, "x"), scored(2, 3.0, "y")], 0.1, 0.0) == "identical"


SCORES = st.lists(st.floats(0, 5), min_size=2, max_size=6)


@given(SCORES, st.floats(0, 0.5, exclude_max=True))
def test_scores_stay_in_order_for_every_rho(scores: list[float], rho: float) -> None:
    found = length_controlled(lengths(*((score, 7 - i) for i, score in enumerate(scores))), rho, 0.0)
    if not isinstance(found, str):
        ((chosen, rejected),) = found
        assert chosen.score > rejected.score


@given(SCORES)
def test_without_rho_and_equal_scores_it_is_best_against_worst(scores: list[float]) -> None:
    given_ = lengths(*((score, 3) for score in dict.fromkeys(scores)))
    assert length_controlled(given_, 0.0, 0.0) == best_worst(given_, 0.0)


def test_a_list_has_one_value_an_iteration() -> None:
    config = LengthControlledConfig(rho=(0.0, 0.2))
    assert [config.at(t).rho for t in (1, 2)] == [0.0, 0.2]
    assert config.problem(2) is None
    assert config.problem(3) == "pairs.rho has 2 values for 3 iterations; give each one, or one for all"
    assert LengthControlledConfig(rho=0.2).at(7).rho == 0.2
    assert LengthControlledConfig(rho=0.2).problem(7) is None


@pytest.mark.parametrize("rho", [-0.1, 0.5, 1.0, [], [0.1, 0.5], "x"])
def test_a_rho_that_makes_no_sense_is_refused(rho: Any) -> None:
    with pytest.raises(ValidationError):
        LengthControlledConfig.model_validate({"rho": rho})
