"""A verdict that is a letter or another short sign: ``Verdict: A``, or ``[[A]]``."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from selfreward.placeholders import before, check, fill, placeholders
from selfreward.readings.labels import last_verdict
from selfreward.readings.line import label_of
from selfreward.readings.number import Found
from selfreward.readings.scale import Scale
from selfreward.records import Frozen

_NOUN = r"(?:(?i:response|answer|assistant|option)[ \t]+)?"
_OPENING = rf"[\s*_`~\"'\u201c\u2018(\[{{<$]*(?:(?:an?|the|it'?s|it is)[ \t]+){{0,2}}{_NOUN}"
_MARKS = r"[*_`~\"'\u201d\u2019)\]}>$]{0,9}"
_SECOND = rf"[ \t]*(?:[/&+>=<|,\-\u2013\u2014]|\b(?i:or|and|to|vs)\b)[\s*_\[(\"']*{_NOUN}"
_ENDS = rf"(?={_MARKS}[ \t]*(?:$|[\n.,;:!?|/&+>=<\-\u2013\u2014(]|(?:is|wins|because|since|as|or|and|to|vs)\b))"


class LetterVerdict(Frozen):
    """One of a few letters; the last one counts."""

    type: Literal["letter"] = "letter"
    line: str
    """With ``{{ letter }}``, behind a label and a colon or between brackets of its own."""
    letters: dict[str, float] = Field(min_length=2)
    """What each letter is as a score: ``{A: 1, tie: 0.5, B: 0}`` makes the score the first response's share."""

    @model_validator(mode="after")
    def _placeholders(self) -> Self:
        check(placeholders(self.line), "verdict", {"letter"})
        return self

    def fits(self, scale: Scale, aspects: Sequence[str]) -> None:
        """Raises ValueError where a letter is off the scale, or there are aspects."""
        if aspects:
            raise ValueError("verdict: a letter is on the whole; aspects need a line or JSON")
        off = [letter for letter, score in self.letters.items() if not scale.holds(score)]
        if off or {scale.min, scale.max} - set(self.letters.values()):
            raise ValueError(f"verdict: letters must give scores from {scale.min} to {scale.max}, both among them")
        if len({letter.casefold() for letter in self.letters}) != len(self.letters):
            raise ValueError("verdict: two letters differ by their case only")

    def read(self, text: str, scale: Scale, aspect: str | None, cut_off: bool) -> float | None:
        """The score of the last letter; None where there is none, or where there are two of them."""
        label = label_of(self.line, "letter")
        if label:
            return last_verdict(text, label, None, self._at, cut_off)
        found = list(self._bracketed().finditer(text))
        return self._score(found[-1][1]) if found else None

    def write(self, scores: Mapping[str | None, float], scale: Scale) -> str:
        """The line with the letter of the nearest score."""
        (score,) = scores.values()
        letter = min(self.letters, key=lambda letter: abs(self.letters[letter] - score))
        return fill(self.line, {"letter": letter})

    def reply(self, rationale: str, scores: Mapping[str | None, float], scale: Scale) -> str:
        """Rationale and verdict, as a judge should write them."""
        return f"{rationale.strip()}\n{self.write(scores, scale)}"

    def json_schema(self, scale: Scale, aspects: Sequence[str]) -> dict[str, Any] | None:
        """None: a letter is no JSON."""
        return None

    def _score(self, letter: str) -> float:
        return next(score for known, score in self.letters.items() if known.casefold() == letter.casefold())

    def _at(self, text: str, at: int) -> Found | None:
        letter, second = _patterns(tuple(self.letters))
        found = letter.match(text, at)
        if found is None:
            return None
        return Found(None if second.match(text, found.end()) else self._score(found[1]), found.end())

    def _bracketed(self) -> re.Pattern[str]:
        opening = before(self.line, "letter").strip()
        closing = self.line.rpartition("}}")[2].strip()
        letters = "|".join(map(re.escape, self.letters))
        return re.compile(rf"{re.escape(opening)}\s*({letters})\s*{re.escape(closing)}", re.IGNORECASE)


@lru_cache(maxsize=16)
def _patterns(letters: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A letter in a verdict's place, and a second one behind it."""
    known = "|".join(re.escape(letter) for letter in sorted(letters, key=len, reverse=True))
    return (
        re.compile(rf"{_OPENING}({known})\b{_ENDS}", re.IGNORECASE),
        re.compile(rf"{_MARKS}{_SECOND}(?:{known})\b"),  # "A - a clear win" has one letter
    )
