"""The scores that a rubric knows."""

from typing import Self

from pydantic import model_validator

from selfreward.records import Frozen


class Scale(Frozen):
    """Whole scores from ``min`` to ``max``."""

    min: int
    max: int

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min {self.min} is not below max {self.max}")
        return self

    @property
    def scores(self) -> range:
        """All scores, lowest first."""
        return range(self.min, self.max + 1)

    def holds(self, score: float) -> bool:
        """Whether it is from ``min`` to ``max``; a mean may lie between two scores."""
        return self.min <= score <= self.max
