"""What was read of one judgment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from selfreward.records import AspectScore


@dataclass(frozen=True, slots=True)
class Reading:
    """The score, None where it is unreadable, and what it is made of where the rubric has aspects."""

    score: float | None
    aspects: tuple[AspectScore, ...] | None = None


def weighted(scores: Mapping[str, float | None], weights: Mapping[str, float]) -> Reading:
    """The weighted mean of all aspects; unreadable where one of them is."""
    read = {name: score for name, score in scores.items() if score is not None}
    if len(read) < len(weights):
        return Reading(None)
    mean = math.fsum(weights[name] * score for name, score in read.items()) / math.fsum(weights.values())
    return Reading(mean, tuple(AspectScore(name=name, score=score) for name, score in read.items()))
