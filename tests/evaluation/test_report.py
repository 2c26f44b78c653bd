"""A judge's report: figures, controls, and what is and is not there."""

from typing import Any

import pytest
from held_out import judgment, rows, scored
from hypothesis import given
from hypothesis import strategies as st

from selfreward.evaluation.report import JudgeReport, judge_report
from selfreward.records import Judgment, Ranked

PEOPLE = [*rows("a", 2, 1, 0), *rows("b", 0, 1), *rows("c", 1, 0), *rows("d", 0, 1, 1)]
"""Three pairs in a and one in c are won by the longer one; one in b and two in d by the shorter one."""


def report(judgments: list[Judgment], people: list[Ranked] = PEOPLE, **changes: Any) -> JudgeReport:
    settings = {"judge": "m", "method": "sampled", "rubric": "some@0", "top": 5.0, "seed": 0}
    return judge_report(people, judgments, **{**settings, **changes})


def test_by_hand() -> None:
    scores = {"a0": 1, "a1": 1, "a2": 5, "b0": 4, "b1": 2, "c0": 3, "c1": None, "d0": 2, "d1": 5, "d2": 1}
    found = report(scored(scores))
    whole = found.whole
    assert (whole.prompts, whole.pairs, found.judgments) == (4, 7, 10)
    assert whole.judge.readable_share.value == pytest.approx(6 / 7, abs=1e-4)
    assert whole.judge.pairwise_accuracy.value == pytest.approx(4.5 / 6, abs=1e-4)
    assert whole.judge.tie_share.value == pytest.approx(1 / 6, abs=1e-4)
    assert (whole.judge.exact_match.value, whole.judge.exact_match.n) == (pytest.approx(1 / 3, abs=1e-4), 3)
    assert (whole.judge.top_score_best.value, whole.judge.top_score_best.n) == (0.5, 2)
    assert found.unreadable_share.value == 0.1
    assert found.swap_flip_share is None
    assert whole.length_only.pairwise_accuracy.value == pytest.approx(4 / 7, abs=1e-4)
    assert whole.length_only.top_score_best.n == 0
    assert (whole.random.pairwise_accuracy.value, whole.random.kendall.value) == (0.5, 0.0)
    # One order of six, two of two, two of two, and of d's three responses two are equal: two of six.
    assert whole.random.exact_match.value == pytest.approx((1 / 6 + 1 / 2 + 1 / 2 + 1 / 3) / 4, abs=1e-4)
    assert whole.random.top_score_best.value == 0.4


def test_the_balanced_part_leaves_length_at_chance() -> None:
    balanced = report(scored({row.id: len(row.response) for row in PEOPLE})).length_balanced
    assert (balanced.pairs, balanced.judge.pairwise_accuracy.value) == (6, 0.5)
    assert balanced.length_only.pairwise_accuracy.value == 0.5
    assert balanced.random.exact_match.value == 0.5
    assert balanced.judge.kendall.value == 0.0


def test_a_judge_of_pairs() -> None:
    verdicts = {("a0", "a1"): 0.0, ("b0", "b1"): 1.0, ("c0", "c1"): None, ("d1", "d0"): 1.0}
    judgments = [judgment(pair, score) for pair, score in verdicts.items()]
    judgments += [judgment(("b1", "b0"), 1.0), judgment(("a1", "a0"), 1.0), judgment(("d0", "d1"), 0.0)]
    judgments += [judgment(("d0", "d2"), 1.0), judgment(("d2", "d0"), 0.0), judgment(("c1", "c0"), 1.0)]
    found = report(judgments, method="pairwise")
    assert found.swap_flip_share is not None
    assert (found.swap_flip_share.value, found.swap_flip_share.n) == (0.25, 4)
    assert found.unreadable_share.value == pytest.approx(1 / 10, abs=1e-4)
    accuracy = found.whole.judge.pairwise_accuracy
    assert (accuracy.value, accuracy.n) == (pytest.approx(2.5 / 4, abs=1e-4), 4), "c was read in one order only"
    strengths = report([*judgments, judgment(("a0",), 7.0), judgment(("a1",), -7.0)], method="pairwise")
    assert strengths.whole.judge.top_score_best.value is None, "nor is a strength"
    assert found.whole.judge.top_score_best.value is None, "a chance is no score of the scale"


def test_nothing_to_balance() -> None:
    balanced = report(scored({"c0": 1, "c1": 2}), rows("c", 1, 0)).length_balanced
    assert (balanced.prompts, balanced.pairs, balanced.judge.pairwise_accuracy.value) == (0, 0, None)


def test_equal_data_give_equal_reports_and_another_seed_other_intervals() -> None:
    judgments = scored({row.id: i % 5 for i, row in enumerate(PEOPLE)})
    assert report(judgments) == report(judgments)
    assert (
        report(judgments, seed=1).whole.judge.pairwise_accuracy.value
        == report(judgments).whole.judge.pairwise_accuracy.value
    )
    assert report(judgments, seed=1) != report(judgments)


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 5), min_size=10, max_size=10))
def test_order_moves_nothing(order: Any, scores: list[int]) -> None:
    judgments = scored(dict(zip([row.id for row in PEOPLE], scores, strict=True)))
    before = report(judgments)
    people = [*PEOPLE]
    order.shuffle(people)
    order.shuffle(judgments)
    assert report(judgments, people) == before
