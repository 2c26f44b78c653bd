"""No score is chosen too often, and judgments stay few beside responses."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.meta_judge.balance import Outline, dropped


def outlines(**counts: int) -> list[Outline]:
    """So many pairs of each score: ``s5=3``; the later ones have wider margins."""
    return [
        Outline(f"{name}-{i}", float(name.removeprefix("s")), float(i)) for name, n in counts.items() for i in range(n)
    ]


def kept(found: list[Outline], share: float, most: int = 1000) -> Counter[int]:
    out = dropped(found, share, most)
    return Counter(one.whole_score for one in found if one.pair_id not in out)


@pytest.mark.parametrize(
    ("counts", "share", "left"),
    [
        ({"s5": 90, "s4": 10}, 0.5, {5: 10, 4: 10}),
        ({"s5": 90, "s4": 10}, 1.0, {5: 90, 4: 10}),
        ({"s5": 9, "s4": 3, "s1": 2}, 0.5, {5: 5, 4: 3, 1: 2}),
        ({"s5": 9, "s4": 3, "s1": 2}, 0.34, {5: 2, 4: 2, 1: 2}),
        ({"s5": 9}, 0.5, {}),
        ({}, 0.5, {}),
    ],
)
def test_no_score_has_more_than_its_share(counts: dict[str, int], share: float, left: dict[int, int]) -> None:
    assert kept(outlines(**counts), share) == left


def test_the_widest_margins_are_kept_and_reasons_are_given() -> None:
    found = outlines(s5=3, s4=1)
    assert dropped(found, 0.5, 10) == {"s5-0": "score_balance", "s5-1": "score_balance"}
    assert dropped(found, 0.5, 1) == {"s5-0": "score_balance", "s5-1": "score_balance", "s5-2": "over_share"}
    assert set(dropped(found, 1.0, 0).values()) == {"over_share"}


def test_what_fits_is_taken_from_all_scores_in_turn() -> None:
    assert kept(outlines(s5=9, s4=9, s1=1), 1.0, most=5) == {5: 2, 4: 2, 1: 1}


def test_scores_between_count_as_the_nearest_whole() -> None:
    found = [Outline("a", 3.5, 1), Outline("b", 4.4, 1), Outline("c", 3.4, 1)]
    assert Counter(one.whole_score for one in found) == {4: 2, 3: 1}


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, 3.0, 5.0]), st.floats(0.1, 9)), max_size=30),
    st.floats(0.05, 1),
    st.integers(0, 30),
    st.randoms(),
)
def test_both_limits_hold_whatever_comes(
    pairs: list[tuple[float, float]], share: float, most: int, drawn: random.Random
) -> None:
    found = [Outline(f"p{i}", score, margin) for i, (score, margin) in enumerate(pairs)]
    balanced = kept(found, share)
    assert all(count <= share * balanced.total() + 1e-6 for count in balanced.values())
    left = kept(found, share, most)
    assert left.total() == min(most, balanced.total())
    short = [score for score, count in balanced.items() if left[score] < count]
    assert all(left[score] <= left[other] + 1 for score in left for other in short), (
        "no score is behind by more than one"
    )
    before = dropped(found, share, most)
    drawn.shuffle(found)
    assert dropped(found, share, most) == before
