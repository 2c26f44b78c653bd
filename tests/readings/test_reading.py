"""Aspects and their weighted mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.readings.reading import weighted
from selfreward.records import AspectScore

ASPECTS = st.dictionaries(st.text(min_size=1, max_size=3), st.tuples(st.floats(0, 5), st.floats(0.1, 9)), min_size=1)


@given(ASPECTS)
def test_the_mean_is_between_the_lowest_and_the_highest(aspects: dict[str, tuple[float, float]]) -> None:
    scores = {name: score for name, (score, _) in aspects.items()}
    reading = weighted(scores, {name: weight for name, (_, weight) in aspects.items()})
    assert reading.score is not None
    assert min(scores.values()) - 1e-9 <= reading.score <= max(scores.values()) + 1e-9
    assert reading.aspects == tuple(AspectScore(name=name, score=score) for name, score in scores.items())


def test_weights_count() -> None:
    assert weighted({"a": 0.0, "b": 4.0}, {"a": 3.0, "b": 1.0}).score == pytest.approx(1.0)


def test_one_aspect_that_is_unreadable_makes_the_whole_so() -> None:
    reading = weighted({"a": 4.0, "b": None}, {"a": 1.0, "b": 1.0})
    assert (reading.score, reading.aspects) == (None, None)
