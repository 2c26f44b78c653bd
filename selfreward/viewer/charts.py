"""Where the marks of a chart go, in the coordinates of its SVG. The macros of templates/charts.html draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

WIDTH, HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 352, 10, 160
_SPARK_WIDTH, _SPARK_HEIGHT, _SPARK_EDGE = 96, 24, 3
_ROUGHLY_TICKS = 4
Point = tuple[float, float]


class Tick(NamedTuple):
    """A value on an axis: where, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """A linear scale from values to coordinates."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The coordinate of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[Tick]:
        """A few round values."""
        step = _round_step((self.high - self.low) / _ROUGHLY_TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [Tick(self.at(n * step), _label(n * step)) for n in range(first, last + 1)]


class Bar(NamedTuple):
    """A rectangle, and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    title: str


class Mark(NamedTuple):
    """A dot."""

    x: float
    y: float


@dataclass(frozen=True)
class Chart:
    """What is drawn: ``series`` are named and numbered by their place, which gives their looks."""

    x: Axis
    y: Axis
    bars: tuple[tuple[str, tuple[Bar, ...]], ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    """Names and points of polylines."""
    dots: tuple[Mark, ...] = ()
    zero: float | None = None
    """Where the zero of the horizontal axis stands, if it is inside."""

    @property
    def names(self) -> list[str]:
        """Of the series, for the legend."""
        return [name for name, _ in (*self.bars, *self.lines)]


def histogram(edges: Sequence[float], series: Mapping[str, Sequence[int]], *, shares: bool = False) -> Chart | None:
    """Counts between edges, series behind one another; as shares of each series where their sizes differ."""
    totals = {name: sum(counts) for name, counts in series.items()}
    if len(edges) < 2 or not any(totals.values()):
        return None
    heights = {
        name: [count / (totals[name] or 1) if shares else float(count) for count in counts]
        for name, counts in series.items()
    }
    x = _axis(edges[0], edges[-1], _LEFT, _RIGHT)
    y = _axis(0.0, max(max(values) for values in heights.values()), _BOTTOM, _TOP)
    bars = tuple(
        (
            name,
            tuple(
                _bar(x, y, low, high, value, f"{_label(low)} to {_label(high)}: {count}")
                for low, high, value, count in zip(edges[:-1], edges[1:], heights[name], counts, strict=True)
            ),
        )
        for name, counts in series.items()
    )
    return Chart(x, y, bars=bars, zero=_zero(x))


def lines(series: Mapping[str, Sequence[Point]]) -> Chart | None:
    """Curves over a common axis."""
    points = [point for of_one in series.values() for point in of_one if _finite(point)]
    if not points:
        return None
    x = _around((p[0] for p in points), _LEFT, _RIGHT)
    y = _around((p[1] for p in points), _BOTTOM, _TOP)
    drawn = tuple(
        (name, " ".join(f"{x.at(a)},{y.at(b)}" for a, b in filter(_finite, of_one))) for name, of_one in series.items()
    )
    return Chart(x, y, lines=drawn)


def scatter(points: Sequence[Point]) -> Chart | None:
    """A dot for each point."""
    finite = [point for point in points if _finite(point)]
    if not finite:
        return None
    x = _around((p[0] for p in finite), _LEFT, _RIGHT)
    y = _around((p[1] for p in finite), _BOTTOM, _TOP)
    return Chart(x, y, dots=tuple(Mark(x.at(a), y.at(b)) for a, b in finite))


def spark(values: Sequence[float | None]) -> list[Mark]:
    """The dots of a small line in a table; fewer than two values make none."""
    known = [(place, value) for place, value in enumerate(values) if value is not None and math.isfinite(value)]
    if len(known) < 2:
        return []
    x = Axis(0, len(values) - 1, _SPARK_EDGE, _SPARK_WIDTH - _SPARK_EDGE)
    y = _around((value for _, value in known), _SPARK_HEIGHT - _SPARK_EDGE, _SPARK_EDGE)
    return [Mark(x.at(place), y.at(value)) for place, value in known]


def _bar(x: Axis, y: Axis, low: float, high: float, value: float, title: str) -> Bar:
    left, top = x.at(low), y.at(value)
    return Bar(left, top, round(max(x.at(high) - left, 0.5), 1), round(y.start - top, 1), title)


def _axis(low: float, high: float, start: float, end: float) -> Axis:
    return Axis(low, high if high > low else low + 1.0, start, end)


def _around(values: Iterable[float], start: float, end: float) -> Axis:
    """An axis over all values; over a unit of them where they are all the same."""
    all_values = list(values)
    low, high = min(all_values), max(all_values)
    return Axis(low, high, start, end) if high > low else Axis(low - 0.5, high + 0.5, start, end)


def _zero(x: Axis) -> float | None:
    return x.at(0.0) if x.low < 0.0 < x.high else None


def _finite(point: Point) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


def _round_step(wanted: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= wanted * (1 - 1e-9)), 10 * power)


def _label(value: float) -> str:
    return f"{value:.4g}" if value else "0"
