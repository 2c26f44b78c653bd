"""Trainings from which nothing good can come are stopped, and others are not."""

import math

import pytest

from selfreward.training.watching import explosion, goes_well, steps_of


def steps(*norms: float) -> list[dict[str, float]]:
    return [{"loss": 0.7, "grad_norm": norm, "step": number} for number, norm in enumerate(norms, 1)]


USUAL = [0.5, 1.5] * 5


@pytest.mark.parametrize(
    "norms",
    [
        [*USUAL, 101.0, 500.0, 1e9],
        [*USUAL, 3.0, 151.0, 151.0, 151.0],
        [*USUAL, *USUAL, 1e4, 1e4, math.inf],
    ],
)
def test_three_steps_far_beyond_those_before(norms: list[float]) -> None:
    told = explosion(steps(*norms))
    assert told is not None
    assert f"in the last 3 of {len(norms)} steps its norm was" in told
    assert not goes_well(steps(*norms))


@pytest.mark.parametrize(
    "norms",
    [
        [*USUAL, 101.0, 500.0],
        [*USUAL, 500.0, 500.0, 1.0],
        [*USUAL, 99.0, 99.0, 99.0],
        [*USUAL[:9], 500.0, 500.0, 500.0],
        [0.0] * 10 + [1e-3] * 3,
        [1e-5] * 10 + [0.9] * 3,
        USUAL,
        [1.0],
    ],
)
def test_one_step_a_slow_rise_and_a_beginning_are_none(norms: list[float]) -> None:
    assert explosion(steps(*norms)) is None
    assert goes_well(steps(*norms))


def test_the_norm_and_the_median_are_named() -> None:
    told = explosion(steps(*[0.25] * 11, 80.0, 90.0, 70.0))
    assert told == (
        "the gradient exploded: in the last 3 of 14 steps its norm was 70 or more, and 0.25 is the median of those "
        "before"
    )


def test_what_is_no_number_does_not_go_well() -> None:
    assert not goes_well([{"loss": math.nan, "grad_norm": 1.0}])
    assert not goes_well([{"loss": 1.0, "grad_norm": math.inf}])
    assert not goes_well([])
    assert goes_well([{"loss": 1.0}])


def test_steps_alone_are_looked_at() -> None:
    assert steps_of([{"loss": 1.0}, {"eval_loss": 1.0}, {"train_runtime": 3.0}]) == [{"loss": 1.0}]
