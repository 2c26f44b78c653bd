"""Scores made of ranks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranked_responses import row

from selfreward.readings.scale import Scale
from selfreward.seeding.agreement import agreement, contradicted
from selfreward.seeding.from_ranks import by_quality, evenly

FIVE = Scale(min=0, max=5)


@pytest.mark.parametrize(
    ("ranks", "scores"),
    [
        ([0, 1], [5, 0]),
        ([0, 1, 2], [5, 3, 0]),
        ([1, 2, 3], [5, 3, 0]),
        ([2, 0, 1, 3], [2, 5, 3, 0]),
        ([0, 0, 7], [5, 5, 0]),
        ([0, 0], []),
        ([4], []),
    ],
)
def test_evenly(ranks: list[int], scores: list[int]) -> None:
    assert list(evenly([row(str(i), rank) for i, rank in enumerate(ranks)], FIVE).values()) == scores


def test_evenly_by_quality_where_there_are_no_ranks() -> None:
    assert evenly([row("a", None, 0.1), row("b", None, 0.9)], Scale(min=1, max=10)) == {"a": 1, "b": 10}
    assert evenly([row("a", 0), row("b", None, 0.9)], FIVE) == {}


def test_by_quality_gives_each_score_an_equal_part() -> None:
    rows = [row(str(i), None, i / 10) for i in range(12)]
    assert list(by_quality(rows, FIVE).values()) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert by_quality([row("a", 0), row("b", None, 2)], FIVE) == {"b": 3}
    assert by_quality([], FIVE) == {}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.sampled_from([FIVE, Scale(min=1, max=2)]))
def test_no_score_goes_against_people(ranks: list[int], scale: Scale) -> None:
    ranked = [row(str(i), rank) for i, rank in enumerate(ranks)]
    scored = [row(str(i), None, -rank) for i, rank in enumerate(ranks)]
    for rows, scores in ((ranked, evenly(ranked, scale)), (scored, by_quality(scored, scale))):
        assert set(scores.values()) <= set(scale.scores)
        assert contradicted(rows, scores) == set()
        assert agreement([rows], scores).against == 0
    if len(set(ranks)) > 1:
        assert {scale.min, scale.max} <= set(evenly(ranked, scale).values())
