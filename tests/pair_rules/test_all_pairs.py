"""Every two responses that are far enough apart."""

from typing import Any

import pytest
from scored_responses import all_scored, indices, scored

from selfreward.pair_rules.all_pairs import AllPairsConfig, all_pairs


@pytest.mark.parametrize(
    ("margin", "found"),
    [
        (0.0, [(0, 3), (0, 2), (0, 1), (1, 3), (1, 2), (2, 3)]),
        (2.0, [(0, 3), (0, 2), (0, 1), (1, 3)]),
        (4.0, [(0, 3)]),
        (4.5, "small_margin"),
    ],
)
def test_the_widest_first_and_none_below_the_margin(margin: float, found: Any) -> None:
    assert indices(all_pairs(all_scored(5.0, 3.0, 2.0, 1.0), margin)) == found


def test_ties_are_no_pairs() -> None:
    assert indices(all_pairs(all_scored(3.0, 3.0, 1.0), 0.0)) == [(0, 2), (1, 2)]
    assert all_pairs(all_scored(3.0, 3.0), 0.0) == "tie"
    assert all_pairs(all_scored(3.0), 0.0) == "too_few_usable"


def test_a_text_that_was_scored_twice_is_never_on_both_sides() -> None:
    given = [scored(0, 1.0, "same"), scored(1, 5.0, "same "), scored(2, 3.0, "other")]
    assert indices(all_pairs(given, 0.0)) == [(2, 0)]
    assert all_pairs(given[:2], 0.0) == "identical"
    assert all_pairs([*given[:2], scored(2, 1.0, "other")], 0.0) == "identical"


def test_how_many_pairs_there_can_be() -> None:
    assert AllPairsConfig().most_rows(10, 4) == 60
