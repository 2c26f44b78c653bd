"""A judge against one ranking, by hand and by its properties."""

import math
import random
from itertools import permutations

import pytest
from held_out import ranking
from hypothesis import given
from hypothesis import strategies as st

from selfreward.evaluation.opinion import Opinion
from selfreward.evaluation.sums import FIGURES, added, at_random, judged

ranks = st.lists(st.integers(0, 4), min_size=2, max_size=6).filter(lambda r: len(set(r)) > 1)


def opinion(*scores: float | None) -> Opinion:
    return Opinion({f"a{i}": score for i, score in enumerate(scores) if score is not None})


def test_by_hand() -> None:
    # People: a0 > a1 > a2 > a3. The judge: a0 5, a1 3, a2 3, a3 4: of six pairs three are right (those of a0), one is a
    # tie and two are wrong.
    found = judged(ranking("a", 0, 1, 2, 3), opinion(5, 3, 3, 4), 5)
    assert found["pairwise_accuracy"] == (3.5, 6)
    assert found["tie_share"] == (1, 6)
    assert found["readable_share"] == (6, 6)
    assert found["exact_match"] == (0, 1)
    assert found["top_score_best"] == (1, 1)
    # Ranks of the judge, best first: 1, 3.5, 3.5, 2. Deviations 1.5 .5 -.5 -1.5 against 1.5 -1 -1 .5:
    assert found["spearman"] == (pytest.approx(1.5 / math.sqrt(5 * 4.5)), 1)
    assert found["kendall"] == (pytest.approx((3 - 2) / math.sqrt(6 * 5)), 1)


def test_human_ties_are_in_no_figure_of_pairs() -> None:
    found = judged(ranking("a", 0, 1, 1), opinion(5, 1, 4), 5)
    assert found["pairwise_accuracy"] == (2, 2)
    assert found["exact_match"] == (1, 1)


def test_unreadable_is_left_out_and_counted() -> None:
    found = judged(ranking("a", 0, 1, 2), opinion(None, 3, 1), 5)
    assert found["pairwise_accuracy"] == (1, 1)
    assert found["readable_share"] == (1, 3)
    assert found["exact_match"] == (0, 0)
    assert found["kendall"] == (pytest.approx(1), 1)
    assert found["spearman"] == (pytest.approx(1), 1)


def test_nothing_readable_says_nothing() -> None:
    found = judged(ranking("a", 0, 1), opinion(), 5)
    assert found.pop("readable_share") == (0, 1)
    assert set(found.values()) == {(0, 0)}


def test_a_score_that_rounds_to_the_highest_counts_as_it() -> None:
    found = judged(ranking("a", 0, 0, 1, 2), opinion(4.4, 4.5, 5, 1), 5)
    assert found["top_score_best"] == (1, 2)
    assert judged(ranking("a", 0, 1), opinion(5, 5), None)["top_score_best"] == (0, 0)


@given(ranks)
def test_a_perfect_judge(found: list[int]) -> None:
    sums = judged(ranking("a", *found), opinion(*(-float(r) for r in found)), None)
    for figure in ("pairwise_accuracy", "exact_match", "spearman", "kendall"):
        above, below = sums[figure]
        assert above == pytest.approx(below)
        assert below


@given(ranks)
def test_a_reversed_judge(found: list[int]) -> None:
    sums = judged(ranking("a", *found), opinion(*map(float, found)), None)
    assert sums["pairwise_accuracy"][0] == sums["exact_match"][0] == 0
    assert sums["spearman"][0] == pytest.approx(-1)
    assert sums["kendall"][0] == pytest.approx(-1)


@given(ranks, st.floats(0, 5))
def test_a_constant_judge_ties_all(found: list[int], score: float) -> None:
    sums = judged(ranking("a", *found), opinion(*[score] * len(found)), None)
    pairs = sums["readable_share"][1]
    assert sums["pairwise_accuracy"] == (pairs / 2, pairs)
    assert sums["tie_share"] == (pairs, pairs)
    assert sums["exact_match"] == sums["spearman"] == sums["kendall"] == (0, 1)


@given(ranks, st.data())
def test_only_the_order_of_scores_matters(found: list[int], data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.integers(0, 5), min_size=len(found), max_size=len(found)))
    people = ranking("a", *found)
    plain, bent = opinion(*map(float, scores)), opinion(*(math.exp(s) for s in scores))
    assert judged(people, plain, None) == judged(people, bent, None)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=5).filter(lambda r: len(set(r)) > 1))
def test_chance_is_the_mean_over_all_orders(found: list[int]) -> None:
    people = ranking("a", *found)
    orders = [judged(people, opinion(*map(float, order)), None) for order in permutations(range(len(found)))]
    expected = at_random(people)
    for figure in ("pairwise_accuracy", "exact_match", "spearman", "kendall", "tie_share", "readable_share"):
        mean = math.fsum(order[figure][0] for order in orders) / len(orders)
        assert mean == pytest.approx(expected[figure][0], abs=1e-9)
        assert {order[figure][1] for order in orders} == {expected[figure][1]}


def test_chance_agrees_with_a_seeded_guesser() -> None:
    people, guess = ranking("a", 0, 1, 1, 2), random.Random(7)
    drawn = added([judged(people, opinion(*(guess.random() for _ in range(4))), 0.5) for _ in range(4000)])
    expected = at_random(people)
    for figure in FIGURES:
        above, below = expected[figure]
        assert drawn[figure][0] / drawn[figure][1] == pytest.approx(above / below, abs=0.03)


def test_added() -> None:
    one = judged(ranking("a", 0, 1), opinion(5, 1), 5)
    whole = added([one, at_random(ranking("a", 0, 1)), one])
    assert whole["pairwise_accuracy"] == (2.5, 3)
    assert list(whole) == list(FIGURES)
    assert all(list(part) == list(FIGURES) for part in (one, at_random(ranking("a", 0, 1))))
