"""Where a rubric's label stands in what a judge wrote, and whether it gives a verdict there or only talks of one."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from selfreward.readings.number import Found

Value = Callable[[str, int], Found | None]
"""What stands at a place of a text: see :func:`~selfreward.readings.number.find_score`."""

_LONGEST_LEAD = 200
_WHOLE = (
    "a an and answer answer's assigned awarded combined conclusion corrected cumulative evaluation final hence in "
    "initial is its judge's my new our overall points preliminary quality rating response response's resulting revised "
    "so sum summary the their then therefore this thus total updated verdict your"
)
_OWN = frozenset(_WHOLE.split())
"""Words before a label that leave it the judge's verdict on the whole; "relevance score: 1" is another matter."""
_BULLET = r"[\s>#*_`~\-+\u2022|(\[\d.)]*"
_LINE_START = re.compile(rf"{_BULLET}[\"'\u201c\u2018]?[*_]*")
_PART = re.compile(rf"{_BULLET}([^\W\d_]+(?:[ \t]+[^\W\d_]+)?)[\s*_:\-\u2013]*")
_SENTENCE = re.compile(r"[.!?:;]\s+")
_QUOTE = re.compile(r"(?<!\w)[\"'\u201c\u2018\u00ab][\s*_]*(?:\w+[ \t]+){0,2}$")
_SEPARATOR = re.compile(
    r"(?P<close>[*_`~\"'\u201d\u2019)\]]{0,9})[ \t]*"
    r"(?:[(\[](?P<note>[^()\[\]\n]{0,40})[)\]][*_`~\"']{0,9}[ \t]*)?[\s*_]{0,9}"
    r"(?:(?:\bis\b[ \t]*)?(?P<sign>[:=\uff1a|])|(?P<verb>\bis\b))"
)
_QUOTES = frozenset("\"'\u201d\u2019")
_NEXT_LINE = re.compile(r"[*_ \t]*\r?\n")
_DIGITS = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class _Mention:
    """One place where the label stands."""

    lead: str
    """What stands before it on its line."""
    end: int


def last_verdict(text: str, label: str, maximum: float | None, value: Value, cut_off: bool) -> float | None:
    """The last verdict under a label, None where it is unreadable or there is none.

    ``maximum`` is what a note in brackets behind the label, such as ``(0-5)``, must end with. ``cut_off`` says that the
    text ends in the middle, so that a number at its very end may have had more digits.
    """
    parts: set[str] = set()
    verdict: Found | None = None
    for mention in _mentions(text, label):
        found = _at(text, mention, maximum, value)
        if found is None:
            continue
        part = _part(mention.lead)
        if verdict is None:
            verdict = found
            if part is None:
                break
        parts |= {part} if part else set()
    if verdict is None or len(parts) > 1:  # several aspects have one each, and the whole has none
        return None
    return None if cut_off and verdict.end == len(text) else verdict.score


def _mentions(text: str, label: str) -> Iterator[_Mention]:
    """The last one first."""
    for found in reversed(list(_label(label).finditer(text))):
        line = text.rfind("\n", max(0, found.start() - _LONGEST_LEAD), found.start()) + 1
        yield _Mention(text[max(line, found.start() - _LONGEST_LEAD) : found.start()], found.end())


@lru_cache(maxsize=64)
def _label(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(label)}", re.IGNORECASE)


def _at(text: str, mention: _Mention, maximum: float | None, value: Value) -> Found | None:
    """The verdict at a mention: without a score where it is unreadable, None where there is only talk of one."""
    starts_line = _starts_line(mention.lead)
    separator = _SEPARATOR.match(text, mention.end)
    if separator is None:
        below = _NEXT_LINE.match(text, mention.end) if starts_line else None
        return value(text, below.end() - 1) if below else None  # a heading, and under it the score alone
    if _quoted(mention.lead) and not set(separator["close"]) & _QUOTES:  # `"score": 4` quotes a name, not a verdict
        return None
    if separator["verb"] and not _is_about_the_whole(mention.lead):
        return None
    found = value(text, separator.end())
    if found is None:
        return Found(None, 0) if starts_line and separator["sign"] in (":", "=", "\uff1a") else None
    noted = _DIGITS.findall(separator["note"] or "")
    if noted and float(noted[-1]) != maximum:
        return Found(None, found.end)
    return found


def _starts_line(lead: str) -> bool:
    start = _LINE_START.match(lead)
    return start is not None and _OWN.issuperset(lead[start.end() :].lower().replace("\u2019", "'").split())


def _is_about_the_whole(lead: str) -> bool:
    words = _SENTENCE.split(lead)[-1].lower().replace("\u2019", "'")
    return _OWN.issuperset(re.sub(r"[*_,\s>#\-]+", " ", words).split())


def _quoted(lead: str) -> bool:
    """Whether the label opens a quotation in the middle of a sentence: the response "claims 'Score: 5'"."""
    quote = _QUOTE.search(lead)
    return quote is not None and any(letter.isalnum() for letter in lead[: quote.start()])


def _part(lead: str) -> str | None:
    """What a verdict is on where it is on one aspect: ``relevance`` of "2. Relevance score: 1"."""
    found = _PART.fullmatch(lead)
    if found is None or _OWN.issuperset(found[1].lower().split()):
        return None
    return found[1].lower()
