"""Of an iteration's pairs those with the widest margins."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scored_responses import all_scored

from selfreward.pair_rules.best_worst import best_worst
from selfreward.pair_rules.top_margin import TopMarginConfig, widest


@pytest.mark.parametrize(
    ("fraction", "kept"),
    [(0.2, {"c"}), (0.21, {"c", "a"}), (0.4, {"c", "a"}), (0.6, {"c", "a", "b"}), (1.0, set("abcde"))],
)
def test_the_share_is_rounded_up_and_ties_go_to_the_lowest_id(fraction: float, kept: str) -> None:
    assert widest({"e": 1.0, "d": 1.0, "a": 2.0, "b": 2.0, "c": 3.0}, fraction) == set(kept)


def test_rounding_does_not_add_one() -> None:
    assert [TopMarginConfig(fraction=f).most_rows(n, 4) for f, n in ((0.1, 30), (0.7, 10), (0.35, 100))] == [3, 7, 35]
    assert widest({}, 0.5) == frozenset()


@given(st.dictionaries(st.text("abc", max_size=3), st.sampled_from([0.5, 1.0, 2.0])), st.floats(0.01, 1), st.integers())
def test_nothing_that_is_left_is_wider_than_what_is_kept(margins: Mapping[str, float], share: float, seed: int) -> None:
    kept = widest(margins, share)
    shuffled = list(margins.items())
    random.Random(seed).shuffle(shuffled)
    assert widest(dict(shuffled), share) == kept
    assert bool(kept) == bool(margins)
    left = [margin for prompt_id, margin in margins.items() if prompt_id not in kept]
    assert max(left, default=0.0) <= min((margins[prompt_id] for prompt_id in kept), default=9.0)


def test_within_a_prompt_it_is_best_against_worst() -> None:
    given_ = all_scored(1.0, 5.0, 3.0)
    assert TopMarginConfig(min_margin=1.0).choose(given_, 0) == best_worst(given_, 1.0)
    assert TopMarginConfig(min_margin=5.0).choose(given_, 0) == "small_margin"


@pytest.mark.parametrize("fraction", [0, 1.1, -1])
def test_a_share_is_above_0_and_at_most_1(fraction: float) -> None:
    with pytest.raises(ValidationError):
        TopMarginConfig(fraction=fraction)
