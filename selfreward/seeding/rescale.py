"""Scores of a source on the rubric's scale: as they are, or mapped from a scale that was named. Never by guessing."""

import math
from collections import Counter

from selfreward.errors import SeedError
from selfreward.readings.scale import Scale
from selfreward.records import Frozen
from selfreward.seeding.formats.base import Format, Reject


class Rescale(Frozen):
    """Whole scores of the rubric from scores of the source."""

    to: Scale
    source: tuple[float, float] | None = None
    """Lowest and highest score of the source's scale; None takes scores as they are."""

    def score(self, score: float, place: str) -> int:
        """The score on the rubric's scale; halves are rounded up. ``place`` is for the message.

        Raises:
            SeedError: it is not on the rubric's scale, and nobody said which one it is on.
            Reject: it is not on the scale that was named.
        """
        if self.source is None:
            if score not in self.to.scores:
                raise SeedError(
                    f"{place}: the score {score:g} is not on the rubric's scale, whole numbers from {self.to.min} to "
                    f"{self.to.max}; say which scale the scores are on with --scale-from MIN MAX"
                )
            return int(score)
        low, high = self.source
        if not low <= score <= high:
            raise Reject("off_scale", f"the score {score:g} is not between {low:g} and {high:g}")
        return self.to.min + math.floor((score - low) * (self.to.max - self.to.min) / (high - low) + 0.5)


def rescale(form: Format, to: Scale, source: tuple[float, float] | None) -> Rescale:
    """How a format's scores come onto the rubric's scale.

    Raises:
        SeedError: the format's scores are known to be on another scale, and nobody said how to read them.
    """
    if source is not None:
        if not (math.isfinite(source[0]) and math.isfinite(source[1]) and source[0] < source[1]):
            raise SeedError(f"--scale-from {source[0]:g} {source[1]:g}: expected two numbers, the lower one first")
        return Rescale(to=to, source=source)
    if form.scale and form.scale != (to.min, to.max):
        low, high = form.scale
        raise SeedError(
            f"scores of {form.name} go from {low:g} to {high:g}, the rubric's from {to.min} to {to.max}; "
            f"--scale-from {low:g} {high:g} maps them, rounded to whole numbers"
        )
    return Rescale(to=to)


def in_words(scores: Counter[float], scale: Rescale) -> str:
    """What was done to the scores, with counts before and after."""
    found = f"scores in the source: {min(scores):g} to {max(scores):g}"
    onto = f"{scale.to.min} to {scale.to.max}"
    if scale.source is None:
        return f"{found}, taken as they are for scores from {onto} (for another scale there is --scale-from MIN MAX)"
    low, high = scale.source
    return f"{found}, mapped from {low:g} to {high:g} onto {onto} and rounded"
