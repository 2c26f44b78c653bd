"""Judgments of responses and of pairs, read as one judge's word."""

import pytest
from held_out import judgment, scored

from selfreward.evaluation.opinion import Opinion, opinion_of, orders_of
from selfreward.records import Judgment


def both(first: str, second: str, score: float) -> list[Judgment]:
    """The same verdict in both orders."""
    return [judgment((first, second), score), judgment((second, first), 1 - score)]


def test_scores_are_means_of_what_could_be_read() -> None:
    found = opinion_of(
        [judgment(("a0",), 4), judgment(("a0",), None, 1), judgment(("a0",), 1, 2), judgment(("a1",), None)]
    )
    assert found == Opinion({"a0": 2.5}, {})


def test_a_lead_is_a_difference_of_scores() -> None:
    found = opinion_of(scored({"a0": 4, "a1": 1, "a2": 4, "a3": None}))
    assert (found.lead("a0", "a1"), found.lead("a1", "a0"), found.lead("a0", "a2")) == (3, -3, 0)
    assert found.lead("a0", "a3") is found.lead("a3", "a9") is None


def test_what_differs_by_rounding_alone_is_a_tie() -> None:
    assert Opinion({"a": 0.1 + 0.2, "b": 0.3}).lead("a", "b") == 0


def test_a_pairs_verdict_is_the_mean_of_both_orders() -> None:
    found = opinion_of([judgment(("a1", "a0"), 0.9), judgment(("a0", "a1"), 0.3)])
    assert found.verdicts == {("a0", "a1"): pytest.approx(0.2)}
    assert found.lead("a0", "a1") == pytest.approx(-0.3)
    assert found.lead("a1", "a0") == pytest.approx(0.3)
    assert found.scores == {"a0": pytest.approx(0.2), "a1": pytest.approx(0.8)}


def test_many_verdicts_in_one_order_weigh_no_more() -> None:
    judgments = [judgment(("a0", "a1"), 1.0, k) for k in range(3)]
    assert opinion_of([*judgments, judgment(("a1", "a0"), 1.0)]).lead("a0", "a1") == 0


def test_an_unreadable_pair_is_not_filled_in_from_others() -> None:
    found = opinion_of([judgment(("a0", "a1"), None), *both("a0", "a2", 1.0), *both("a1", "a2", 0.0)])
    assert found.lead("a0", "a1") is None
    assert found.scores == {"a0": 1.0, "a1": 0.0, "a2": 0.5}


def test_pairs_that_were_not_judged_follow_from_the_scores() -> None:
    found = opinion_of([*both("a0", "a1", 1.0), *both("a1", "a2", 1.0)])
    assert found.lead("a0", "a2") == 1.0


def test_a_pair_that_was_read_in_one_order_is_unread() -> None:
    found = opinion_of([judgment(("a0", "a1"), 1.0), judgment(("a1", "a0"), None), judgment(("a1", "a2"), 1.0)])
    assert found == Opinion({}, {("a0", "a1"): None, ("a1", "a2"): None})
    assert found.lead("a0", "a1") is found.lead("a1", "a2") is None


def test_flips() -> None:
    first = [judgment(("a0", "a1"), 1.0), judgment(("a1", "a0"), 1.0)]  # always whatever stands first
    steady = [judgment(("b0", "b1"), 1.0), judgment(("b1", "b0"), 0.0)]
    tied = [judgment(("c0", "c1"), 1.0), judgment(("c1", "c0"), 0.5)]
    once = [judgment(("d0", "d1"), 1.0), judgment(("d1", "d0"), None)]
    found = orders_of([*first, *steady, *tied, *once, judgment(("e0",), 3.0)])
    assert {pair[0][0]: (orders.both, orders.flips) for pair, orders in found.items()} == {
        "a": (True, True),
        "b": (True, False),
        "c": (True, False),
        "d": (False, False),
    }
