"""A score where a verdict is expected: one number or word, and nothing beside it that makes it doubtful."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from selfreward.readings.scale import Scale

_OPENING = re.compile(r"""(?:[\s*_`~"'\u201c\u2018(\[{$]|\\\(|\\(?:boxed|text|textbf|mathbf)\{|<(?=[^<>\n]{1,12}>))*""")
_CLOSING = r"""[*_`~\])}>$"'\u201d\u2019]{0,9}"""
_DIGITS = r"\d+(?:\.\d+)?"
_FRACTIONS = "\u00bc\u00bd\u00be\u2153\u2154"
_DASHES = r"\-\u2010-\u2015\u2212"
_OF = r"(?:of|de|di|(?:[^\W\d_]{1,12}[ \t]+)?(?:von|sur|\u0438\u0437))"
_NEXT_WORD = r"(?:because|since|as|out|of|or|to|and|points?|pts|stars?)\b"
_ENDS = rf"(?=[ \t]*(?:$|[\n.,;:!?*_)\]}}\"'`>|(/+{_DASHES}]|{_NEXT_WORD}))"
"""What may follow a word that is a score: "no idea" is not "no"."""
_ALONE = re.compile(rf"(?:[ \t]*/[ \t]*{_DIGITS})?[ \t*_`)\]}}>$.\"']*(?:points?|pts|stars?)?[ \t*_.]*(?:\r?\n|$)")


@dataclass(frozen=True, slots=True)
class Found:
    """A number or word in a verdict's place; ``score`` is None where it is no clear score on the scale."""

    score: float | None
    end: int
    """Where in the text it ends, with what belongs to it."""


def find_score(text: str, start: int, scale: Scale, words: Sequence[str] = ()) -> Found | None:
    """The score that stands at ``start`` of the text, behind markup at most; None where none stands there.

    It may be followed by its maximum (``/5``, ``out of 5``), which must be the scale's. It is doubtful, and no score,
    where it is off the scale, over another maximum, a range, a percentage, a sum that does not add up or a number that
    some write otherwise (``3,5``). ``words`` are the scale's scores in words, lowest first.
    """
    patterns = _patterns(tuple(words))
    opening = _OPENING.match(text, start)
    begin = opening.end() if opening else start
    number = patterns.number.match(text, begin)
    if number is None:
        return None
    if "\n" in text[start:begin] and not _ALONE.match(text, number.end()):
        return None  # the first line of a list under a heading
    total = patterns.sum.match(text, begin)
    if total is not None:
        return _read(text, _total(total), total.end(), scale, patterns)
    value = _value(number[0], scale, words)
    return _read(text, value, number.end(), scale, patterns)


def _read(text: str, value: float | None, end: int, scale: Scale, patterns: "_Patterns") -> Found:
    maximum = patterns.maximum.match(text, end)
    if maximum is not None:
        end = maximum.end()
        named = next(group for group in maximum.groups() if group is not None)
        if _value(named, scale, patterns.words) != scale.max:
            value = None
    doubt = patterns.doubt.match(text, end)
    if doubt is not None:
        return Found(None, doubt.end())
    return Found(value if value is not None and scale.holds(value) else None, end)


def _value(text: str, scale: Scale, words: Sequence[str]) -> float:
    lowered = text.lower()
    for score, word in zip(scale.scores, words, strict=False):
        if lowered == word.lower():
            return float(score)
    return math.nan if text.isalpha() else float(text.replace("\u2212", "-"))


def _total(found: re.Match[str]) -> float | None:
    """``1 + 1 + 0 = 2`` as 2, and a sum that is wrong as nothing."""
    terms = re.findall(rf"([+{_DASHES}]?)[ \t]*({_DIGITS})", re.sub(r"\([^()]*\)", "", found["terms"]))
    added = math.fsum(float(number) * (1 if sign in ("", "+") else -1) for sign, number in terms)
    return added if math.isclose(added, float(found["total"])) else None


@dataclass(frozen=True, slots=True)
class _Patterns:
    words: tuple[str, ...]
    number: re.Pattern[str]
    sum: re.Pattern[str]
    maximum: re.Pattern[str]
    doubt: re.Pattern[str]


@lru_cache(maxsize=16)
def _patterns(words: tuple[str, ...]) -> _Patterns:
    spelled = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    word = rf"(?:{spelled})\b{_ENDS}" if words else r"(?!)"
    any_number = rf"(?:{_DIGITS}|(?:{spelled})\b)" if words else _DIGITS
    most = rf"(?:{_DIGITS}|[^\W\d_]+)" if words else _DIGITS
    term = rf"{_DIGITS}(?:[ \t]*points?)?(?:[ \t]*\([^()\n]{{1,40}}\))?"
    more = rf"(?:[ \t]*[+{_DASHES}][ \t]*{term}){{1,12}}"
    upto = rf"(?:{_DIGITS}[ \t]*(?:[{_DASHES}]|to)[ \t]*)?"
    gap = r"[ \t,(]{0,4}"
    maximum = (
        rf"{_CLOSING}(?:"
        rf"[ \t]*/[ \t*_(\[]*({most})"
        rf"|{gap}(?:[a-z]{{1,12}}[ \t]+){{0,2}}(?:out[ \t]+of)[ \t]+(?:(?:a|the)[ \t]+)?"
        rf"(?:(?:possible|total|maximum|max)[ \t]+)?(?:of[ \t]+)?[*_(\[]*({most})"
        rf"|{gap}(?:points?|stars?|pts)?[ \t]*{_OF}[ \t]+(?:(?:a|the)[ \t]+)?"
        rf"(?:(?:possible|total|maximum|max)[ \t]+)?(?:of[ \t]+)?[*_(\[]*({most})"
        rf"|{gap}max(?:imum|\.)?[ \t:]*(?:(?:of|is)[ \t]+)?({_DIGITS})"
        rf"|{gap}(?:(?:on|in|using)[ \t]+)?(?:(?:an?|the)[ \t]+)?{upto}({_DIGITS})[- \t]*(?:points?[ \t]+)?scale\b"
        rf"|{gap}(?:(?:on|in|using)[ \t]+)?(?:(?:an?|the)[ \t]+)?scale[ \t:]*(?:(?:of|from)[ \t]+)?{upto}({_DIGITS})"
        rf")[*_)\]}}]{{0,4}}"
    )
    doubt = (
        rf"{_CLOSING}(?:"
        rf"[ \t*_]*(?:[{_DASHES}+\u00d7x/~>\u2192&]{{1,3}}|to|or|and|bis|\.\.+)[ \t*_]*{any_number}"
        rf"|[ \t]*\([^()\n]{{0,80}}\)[ \t]*\+[ \t]*\d"
        rf"|[ \t]+{_DIGITS}"
        rf"|[.,\u066b\u00b7'\u2019]\d"
        rf"|,[ \t]*{_DIGITS}[ \t*_]*(?:\n|$)"
        rf"|[ \t]*[{_FRACTIONS}]"
        rf"|[ \t]*(?:%|\uff05|\u066a|percent\b|per[ \t]cent\b)"
        rf"|[ \t*_]*\|[ \t*_]*{_DIGITS}"
        rf"|\d"
        rf")"
    )
    flags = re.IGNORECASE
    return _Patterns(
        words,
        re.compile(rf"[-+\u2212]?{_DIGITS}|{word}", flags),
        re.compile(rf"(?P<terms>{term}{more})[ \t]*=[ \t*_]*(?P<total>{_DIGITS})", flags),
        re.compile(maximum, flags),
        re.compile(doubt, flags),
    )
