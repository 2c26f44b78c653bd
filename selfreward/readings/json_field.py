"""A verdict in a JSON object: ``{"rationale": "…", "score": 4}``."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selfreward.readings.number import find_score
from selfreward.readings.scale import Scale
from selfreward.records import Frozen

_BEGINS_JSON = re.compile(r"\{\s*(?:[\"'\u201c]|\w+\s*:|$)")
_MOST_BROKEN = 64
"""Braces that begin no object, in one reply; trying them all would take for ever where there are thousands."""
_GOES_ON = re.compile(r"[ \t\"'`\u201d)\]]*[,;]?[ \t]*[^\W\d_]")
_BRACE = re.compile(r"[{}]")
_DECODER = json.JSONDecoder(strict=False, parse_int=float)  # line breaks stand in strings as models write them


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object and its place in a text."""

    fields: dict[str, Any]
    start: int
    end: int


class JsonVerdict(Frozen):
    """A field of the last JSON object; with aspects, one field each."""

    type: Literal["json"] = "json"
    field: str = "score"
    """The field that holds the score, where the rubric has no aspects."""
    rationale: str = "rationale"
    """The field that holds the reasons; it stands first, so that they are given before the score."""

    def fits(self, scale: Scale, aspects: Sequence[str]) -> None:
        """Raises ValueError where two fields have one name."""
        fields = [self.rationale, *(aspects or (self.field,))]
        if len({name.casefold() for name in fields}) != len(fields):
            raise ValueError(f"verdict: two fields of the same name among {', '.join(fields)}")

    def read(self, text: str, scale: Scale, aspect: str | None, cut_off: bool) -> float | None:
        """The field's score, whatever stands around the object; None where no last object can be made out."""
        last, end = _last_object(text)
        if last is None or self._goes_on(text, end, aspect):
            return None
        fields = {name.casefold(): value for name, value in last.items()}
        return _score(fields.get((aspect or self.field).casefold()), scale)

    def _goes_on(self, text: str, end: int, aspect: str | None) -> bool:
        """Whether a verdict in other words comes after the object, which may then be a quoted one."""
        label = re.compile(rf"\b{re.escape(aspect or self.field)}\W{{0,4}}[:=]", re.IGNORECASE)
        return label.search(text, end) is not None

    def write(self, scores: Mapping[str | None, float], scale: Scale) -> str:
        """The object without a rationale."""
        return json.dumps(self._fields(scores), ensure_ascii=False)

    def reply(self, rationale: str, scores: Mapping[str | None, float], scale: Scale) -> str:
        """The whole object, as a judge should write it."""
        return json.dumps({self.rationale: rationale.strip(), **self._fields(scores)}, ensure_ascii=False)

    def json_schema(self, scale: Scale, aspects: Sequence[str]) -> dict[str, Any] | None:
        """What an engine can hold the judge to. Scores are listed, since not every engine knows minimum and maximum."""
        names = list(aspects or (self.field,))
        score = {"type": "integer", "enum": list(scale.scores)}
        return {
            "type": "object",
            "properties": {self.rationale: {"type": "string"}, **dict.fromkeys(names, score)},
            "required": [self.rationale, *names],
            "additionalProperties": False,
        }

    def _fields(self, scores: Mapping[str | None, float]) -> dict[str, float]:
        return {aspect or self.field: int(score) if score == int(score) else score for aspect, score in scores.items()}


def _score(value: object, scale: Scale) -> float | None:
    if isinstance(value, str):
        found = find_score(value.strip(), 0, scale)
        return found.score if found else None
    if isinstance(value, bool) or not isinstance(value, float):
        return None
    return value if scale.holds(value) else None


def _last_object(text: str) -> tuple[dict[str, Any] | None, int]:
    """The last JSON object and its end; none where it stands inside something broken, or before something broken.

    A judge that quotes the response without escaping it writes such things, and then the quoted object is not its own.
    """
    last, end, depth = None, 0, 0
    for found in _objects_and_braces(text):
        if isinstance(found, Object):
            end = found.end
            if not _in_a_sentence(text, found):
                last = found.fields if depth == 0 else None
        elif found == "}":
            depth = max(0, depth - 1)
        else:
            depth += 1
            last = None if found == "broken" else last
    return last, end


def _in_a_sentence(text: str, found: Object) -> bool:
    """Whether somebody's object is spoken of: it claims {"score": 5} of itself."""
    lead = text[text.rfind("\n", 0, found.start) + 1 : found.start].rstrip(" \t*_`\"'\u201c")
    return lead[-1:].isalnum() or lead[-1:] == "," or _GOES_ON.match(text, found.end) is not None


def _objects_and_braces(text: str) -> Iterator[Object | str]:
    """Outermost objects, and the braces of what cannot be parsed: ``broken`` where JSON was begun."""
    at, broken = 0, 0
    while (brace := _BRACE.search(text, at)) is not None:
        at = brace.end()
        if brace[0] == "}":
            yield "}"
            continue
        try:
            found, at = _DECODER.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            broken += 1
            yield "broken" if broken > _MOST_BROKEN or _BEGINS_JSON.match(text, brace.start()) else "{"
            if broken > _MOST_BROKEN:
                return
        else:
            yield Object(found, brace.start(), at)
