"""Where marks go."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.viewer import charts

FINITE = st.floats(-1e6, 1e6)


def test_histogram_bars_stand_on_the_axis_and_reach_its_top() -> None:
    chart = charts.histogram([0.0, 1.0, 2.0], {"all": [1, 4]})
    assert chart is not None
    ((_, (low, high)),) = chart.bars
    assert [round(bar.y + bar.height, 1) for bar in (low, high)] == [chart.y.start] * 2
    assert (high.y, high.height) == (chart.y.end, 4 * low.height)
    assert (low.x, high.x + high.width) == (chart.x.start, chart.x.end)
    assert high.title == "1 to 2: 4"


def test_histograms_of_different_sizes_are_compared_by_shares() -> None:
    chart = charts.histogram([0.0, 1.0, 2.0], {"M1": [10, 30], "M2": [1, 3]}, shares=True)
    assert chart is not None
    (_, first), (_, second) = chart.bars
    assert [bar.height for bar in first] == [bar.height for bar in second]
    assert chart.names == ["M1", "M2"]


def test_zero_is_marked_where_it_is_inside() -> None:
    inside, outside = (charts.histogram([low, 0.0, 3.0], {"all": [1, 1]}) for low in (-1.0, 0.0))
    assert inside is not None
    assert outside is not None
    assert inside.zero == inside.x.at(0.0)
    assert outside.zero is None


@pytest.mark.parametrize("chart", [charts.histogram([], {}), charts.histogram([0, 1], {"all": [0]})])
def test_nothing_to_draw(chart: charts.Chart | None) -> None:
    assert chart is None
    assert charts.lines({"loss": []}) is None
    assert charts.scatter([(math.nan, 1.0)]) is None
    assert charts.spark([None, 1.0]) == []


@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=20))
def test_everything_is_drawn_inside(points: list[tuple[float, float]]) -> None:
    dots, curve = charts.scatter(points), charts.lines({"one": points})
    assert dots is not None
    assert curve is not None
    assert len(dots.dots) == len(points)
    for chart in (dots, curve):
        for axis, end in ((chart.x, charts.WIDTH), (chart.y, charts.HEIGHT)):
            assert all(0 <= tick.at <= end for tick in axis.ticks())
    assert all(0 <= dot.x <= charts.WIDTH and 0 <= dot.y <= charts.HEIGHT for dot in dots.dots)


@given(FINITE, FINITE)
def test_axes_have_a_few_ticks(low: float, width: float) -> None:
    axis = charts.Axis(low, low + max(abs(width), 1e-3), 0.0, 100.0)
    assert 1 <= len(axis.ticks()) <= 7


def test_spark_leaves_out_what_is_not_known() -> None:
    first, last = charts.spark([1.0, None, 3.0])
    assert first.x < last.x
    assert first.y > last.y
