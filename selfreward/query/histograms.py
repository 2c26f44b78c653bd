"""How numbers of a table spread, in bars of a width that reads well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from selfreward.query.database import ask
from selfreward.records import Frozen

MOST_BARS = 24
_SLACK = 1e-6
"""What floating point may lack of a whole number of bars."""


class Histogram(Frozen):
    """Bars side by side, all of one width; bar i holds what is from ``start + i * width`` up to the next one's start.

    Of several series the bars stand over one another.
    """

    start: float
    width: float
    series: tuple[tuple[int, ...], ...]
    """Counts by bar, for each series."""

    @property
    def edges(self) -> tuple[float, ...]:
        """Where bars begin, and where the last one ends."""
        bars = len(self.series[0]) if self.series else 0
        return tuple(round(self.start + i * self.width, 10) for i in range(bars + 1))


def histogram(tables: Sequence[str], expression: str) -> Histogram:
    """Of an expression over each table (or query in brackets); both are constants of the code. The lock is held."""
    ends = [ask(f"SELECT min({expression}) AS low, max({expression}) AS high FROM {table}")[0] for table in tables]
    known = [end for end in ends if end["low"] is not None]
    if not known:
        return Histogram(start=0, width=1, series=tuple(() for _ in tables))
    low, high = min(end["low"] for end in known), max(end["high"] for end in known)
    width = _step(tables, expression, high - low) or nice_width(high - low)
    first = math.floor(low / width + _SLACK)
    bars = math.floor(high / width + _SLACK) - first + 1
    series = []
    for table in tables:
        sql = f"""
            SELECT floor(({expression}) / $width + {_SLACK})::INTEGER - $first AS bar, count(*) AS n
            FROM {table} WHERE ({expression}) IS NOT NULL GROUP BY bar"""
        found = {row["bar"]: row["n"] for row in ask(sql, width=width, first=first)}
        series.append(tuple(found.get(bar, 0) for bar in range(bars)))
    return Histogram(start=first * width, width=width, series=tuple(series))


def nice_width(spread: float) -> float:
    """1, 2, 2.5 or 5 times a power of ten, so that about a dozen bars cover the spread."""
    if spread <= 0:
        return 1.0
    raw = spread / (MOST_BARS - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= raw * (1 - _SLACK))


def _step(tables: Sequence[str], expression: str, spread: float) -> float | None:
    """How far apart neighbours are, where there are few different numbers, such as means of three whole scores."""
    union = " UNION ".join(f"SELECT round({expression}, 9) AS value FROM {table}" for table in tables)
    rows = ask(f"SELECT DISTINCT value FROM ({union}) WHERE value IS NOT NULL ORDER BY value LIMIT {MOST_BARS + 1}")
    values = [row["value"] for row in rows]
    if not 1 < len(values) <= MOST_BARS:
        return None
    least = min(later - earlier for earlier, later in pairwise(values))
    return float(least) if spread / least < MOST_BARS else None
