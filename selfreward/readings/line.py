"""A verdict in a line of its own with a label: ``Score: 4``."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from selfreward.placeholders import before, check, fill, placeholders
from selfreward.readings.labels import last_verdict
from selfreward.readings.number import find_score
from selfreward.readings.scale import Scale
from selfreward.records import Frozen


def label_of(line: str, placeholder: str) -> str:
    """``Score`` of ``Score: {{ score }}``."""
    return before(line, placeholder).rstrip(" \t([{*_\"'").rstrip(" \t:=\uff1a").strip(" \t*_`\"'[(")


@lru_cache(maxsize=64)
def _label(line: str, aspect: str | None) -> str:
    return label_of(fill(line, {"aspect": aspect or "", "score": "{{ score }}"}), "score")


class LineVerdict(Frozen):
    """The label, a colon and the score; the last such line counts."""

    type: Literal["line"] = "line"
    line: str
    """With ``{{ score }}``; with ``{{ aspect }}`` too where the rubric has aspects, one line each."""
    words: tuple[str, ...] = ()
    """The scale's scores in words, lowest first; read beside digits. Without them ``Score: four`` is unreadable."""

    @field_validator("words", mode="before")
    @classmethod
    def _no_truth_values(cls, words: Any) -> Any:
        if isinstance(words, list) and any(isinstance(word, bool) for word in words):
            raise ValueError('YAML takes yes and no for truth values; put the words in quotes: ["no", "yes"]')
        return words

    @model_validator(mode="after")
    def _placeholders(self) -> Self:
        check(placeholders(self.line), "verdict", {"score"}, {"aspect"})
        return self

    def fits(self, scale: Scale, aspects: Sequence[str]) -> None:
        """Raises ValueError where the rubric's scale or aspects need another line."""
        if self.words and len(self.words) != len(scale.scores):
            raise ValueError(f"verdict: {len(self.words)} words for the {len(scale.scores)} scores of the scale")
        if ("aspect" in placeholders(self.line)) != bool(aspects):
            raise ValueError("verdict: a line has {{ aspect }} where the rubric names aspects, and only there")

    def read(self, text: str, scale: Scale, aspect: str | None, cut_off: bool) -> float | None:
        """The last score under the label.

        The label is read in any case, with or without Markdown around it, then a colon, an equals sign or ``is``. What
        somebody else's quoted words give as a score is no verdict.
        """
        label = _label(self.line, aspect)
        if not label:
            return None
        return last_verdict(text, label, scale.max, lambda text, at: find_score(text, at, scale, self.words), cut_off)

    def write(self, scores: Mapping[str | None, float], scale: Scale) -> str:
        """The verdict's lines."""
        return "\n".join(
            fill(self.line, {"aspect": aspect or "", "score": self._spelled(score, scale)})
            for aspect, score in scores.items()
        )

    def reply(self, rationale: str, scores: Mapping[str | None, float], scale: Scale) -> str:
        """Rationale and verdict, as a judge should write them."""
        return f"{rationale.strip()}\n{self.write(scores, scale)}"

    def json_schema(self, scale: Scale, aspects: Sequence[str]) -> dict[str, Any] | None:
        """None: a line is no JSON."""
        return None

    def _spelled(self, score: float, scale: Scale) -> str:
        spelled = dict(zip(scale.scores, self.words, strict=False))
        return spelled.get(int(score), f"{score:g}") if score == int(score) else f"{score:g}"
