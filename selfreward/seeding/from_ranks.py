"""Scores made of people's ranks, for judges that give a score and no reasons. Pure functions."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal

from selfreward.readings.scale import Scale
from selfreward.records import Ranked

Spread = Literal["evenly", "quality"]
SPREADS: tuple[Spread, ...] = ("evenly", "quality")


def evenly(rows: Sequence[Ranked], scale: Scale) -> dict[str, int]:
    """Scores of one prompt's responses: the best has the scale's highest, the worst its lowest, others in equal steps.

    Equals have one score; halves are rounded up. Empty where people prefer none of them, or where some have only a rank
    and others only a quality.
    """
    standing = standings(rows)
    levels = sorted(set(standing.values()))
    if len(levels) < 2:
        return {}
    step = (scale.max - scale.min) / (len(levels) - 1)
    return {one: scale.min + math.floor(levels.index(own) * step + 0.5) for one, own in standing.items()}


def standings(rows: Sequence[Ranked]) -> dict[str, float]:
    """How people place one prompt's responses, higher for better; empty where some have only a rank, others none."""
    ranks = {row.id: -row.rank for row in rows if row.rank is not None}
    if len(ranks) == len(rows):
        return {**ranks}
    qualities = {row.id: row.quality for row in rows if row.quality is not None}
    return qualities if len(qualities) == len(rows) else {}


def by_quality(rows: Sequence[Ranked], scale: Scale) -> dict[str, int]:
    """Scores by where a response's quality stands among all of them: each score gets an equal part.

    Equal qualities have one score, that of their middle. A response without a quality has none.
    """
    qualities = sorted(row.quality for row in rows if row.quality is not None)
    parts = len(scale.scores)
    scores = {}
    for row in rows:
        if row.quality is not None:
            middle = (bisect_left(qualities, row.quality) + bisect_right(qualities, row.quality)) / 2
            scores[row.id] = scale.min + min(parts - 1, math.floor(parts * middle / len(qualities)))
    return scores
