"""Intervals: clustered, seeded, and the same for the same data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.evaluation.bootstrap import Figure, figures, shares

sums = st.dictionaries(st.text(max_size=4), st.tuples(st.integers(0, 3), st.integers(3, 6)), min_size=1, max_size=8)


def test_by_hand() -> None:
    # Two prompts, one all right and one all wrong: of four equally likely resamples one gives 0, two 0.5, one 1.
    found = shares({"a": (3, 3), "b": (0, 3)}, seed=0)
    assert found == Figure(value=0.5, low=0.0, high=1.0, n=6)


def test_prompts_are_resampled_and_not_pairs() -> None:
    """Forty prompts of ten equal pairs say no more than forty pairs do."""
    many = shares({f"p{i:02}": (10.0 * (i % 2), 10) for i in range(40)}, seed=1)
    few = shares({f"p{i:02}": (1.0 * (i % 2), 1) for i in range(40)}, seed=1)
    assert (many.value, many.low, many.high) == (few.value, few.low, few.high)
    # Of 40 fair draws 95% lie within 0.5 +- 1.96 * sqrt(0.25 / 40).
    assert many.low == pytest.approx(0.345, abs=0.03)
    assert many.high == pytest.approx(0.655, abs=0.03)


def test_one_prompt_has_no_interval() -> None:
    assert shares({"a": (1, 4)}, seed=0) == Figure(value=0.25, low=None, high=None, n=4)


def test_nothing_has_no_value() -> None:
    nothing = Figure(value=None, low=None, high=None, n=0)
    assert shares({}, seed=0) == shares({"a": (0, 0), "b": (0, 0)}, seed=0) == nothing


def test_prompts_without_a_say_widen_nothing() -> None:
    found = shares({"a": (1, 2), "b": (1, 2), "c": (0, 0)}, seed=0)
    assert (found.value, found.low, found.high, found.n) == (0.5, 0.5, 0.5, 4)


def test_every_figure_is_on_the_same_resamples() -> None:
    prompts = [{"one": (i % 3, 3.0), "two": (2.0 * (i % 3), 3.0)} for i in range(20)]
    found = figures(prompts, 3, ("one", "two"))
    assert found["two"].low == pytest.approx(2 * (found["one"].low or 0), abs=1e-3)


@given(sums, st.integers(0, 5))
def test_order_moves_nothing_and_the_value_lies_between(prompts: dict[str, tuple[float, float]], seed: int) -> None:
    found = shares(prompts, seed)
    assert found == shares(dict(reversed(prompts.items())), seed)
    if len(prompts) > 1:
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.high <= 1
