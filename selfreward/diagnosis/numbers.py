"""Sums of many numbers, rounded as they are stored."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import StatisticsError, fmean, quantiles
from statistics import correlation as pearson

Spread = dict[str, float]
"""mean, p25, p50, p75, p95, max"""


def spread(values: Sequence[float]) -> Spread:
    """Mean and quantiles of at least one number."""
    cuts = quantiles(values, n=20, method="inclusive") if len(values) > 1 else [values[0]] * 19
    found = {"mean": fmean(values), "p25": cuts[4], "p50": cuts[9], "p75": cuts[14], "p95": cuts[18]}
    return {name: rounded(value) for name, value in {**found, "max": max(values)}.items()}


def correlation(ones: Sequence[float], others: Sequence[float]) -> float | None:
    """Pearson's r; None where one of the two does not vary."""
    try:
        return rounded(pearson(ones, others))
    except StatisticsError:
        return None


def share(part: float, whole: float) -> float | None:
    """None of nothing."""
    return rounded(part / whole) if whole else None


def entropy(counts: Iterable[int]) -> float:
    """Bits of a histogram."""
    held = [count for count in counts if count]
    total = sum(held)
    return rounded(-math.fsum(count / total * math.log2(count / total) for count in held)) + 0.0


def ratio(now: float | None, before: float | None) -> float | None:
    """None where there is nothing to compare with."""
    return None if now is None or not before else rounded(now / before)


def within(figures: Mapping[str, object], *path: str) -> float | None:
    """A number some levels down; None where it is not there."""
    found: object = figures
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, (int, float)) else None


def rounded(value: float) -> float:
    """To four digits, as in metrics.json."""
    return round(float(value), 4)
