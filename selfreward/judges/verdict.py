"""Reading a score from what a judge wrote. What cannot be read is None, never a number."""

import re
from functools import lru_cache

from selfreward.templates import Scale, fill

_MARKUP = r"[\s*_`~\"'(\[<]*"
_NUMBER = r"(?P<score>[-+]?\d+(?:\.\d+)?)"
_NOT_A_LIST = r"(?!(?<=\s)(?<![ \t])\d+[.)]\s+\S)"  # "Score:", and on the next line "1. It is on topic."
_MAXIMUM = (
    r"[*_`\])>]{0,9}(?:\s*/[ *_(\[]*(?P<slash>\d+(?:\.\d+)?)"
    r"|[ (]{0,3}(?:points?|stars?)?[ (]{0,3}(?:out )?of (?:(?:a |the )?(?:possible |total |maximum |max )(?:of )?)?"
    r"[ *_(\[]*(?P<of>\d+(?:\.\d+)?))"
)
_MORE = (
    r"(?P<more>[ \t]*\([^()\n]{0,80}\)[ \t]*\+[ \t]*\d"
    r"|[ \t*_]*(?:[-\u2013\u2014+\u00d7x/~]|to|or|\.\.+)[ \t*_]*\d|[ \t]*%|\d|[.,]\d)"
)


def verdict_line(verdict: str, score: float) -> str:
    """The line that gives a score: ``Score: 4``."""
    return fill(verdict, {"score": f"{score:g}"})


def read_score(text: str, verdict: str, scale: Scale) -> float | None:
    """The last verdict in the judge's own text.

    A verdict is the rubric's label (``Score``) in any case, with or without Markdown around it, then a colon, an equals
    sign or ``is``, then a number, which may be followed by ``/5`` or ``out of 5``. It is None where there is no verdict
    or the last one is off the scale, over another maximum, a range, or a sum.
    """
    verdicts = list(_pattern(verdict).finditer(text))
    if not verdicts:
        return None
    last = verdicts[-1]
    maximum = last["slash"] or last["of"]
    score = float(last["score"])
    if last["more"] or (maximum is not None and float(maximum) != scale.max):
        return None
    return score if scale.min <= score <= scale.max else None


@lru_cache(maxsize=16)
def _pattern(verdict: str) -> re.Pattern[str]:
    label = fill(verdict, {"score": ""}).strip().rstrip(":=").strip()
    return re.compile(
        rf"(?<![A-Za-z0-9]){re.escape(label)}{_MARKUP}(?:[:=\uff1a]|\bis\b){_MARKUP}{_NOT_A_LIST}{_NUMBER}"
        rf"(?:{_MAXIMUM})?{_MORE}?",
        re.IGNORECASE,
    )
