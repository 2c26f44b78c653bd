"""What in a text could steer a judge. It finds forms, not intentions: see docs/judging.md for how often it errs.

Nothing depends on it but figures and flags: what keeps such text from acting is the rubric's rendering, tokenising
(``engines/chat.py``) and reading (``readings/``).
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from selfreward.engines.defusing import spells_control

_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u180e"
_HIDDEN = re.compile(
    r"[\U000e0000-\U000e007f\u202a-\u202e\u2066-\u2069]"  # tags block, overrides and isolates of direction
    rf"|(?<=[A-Za-z0-9<>/])[{_ZERO_WIDTH}]+(?=[A-Za-z0-9<>/])|[{_ZERO_WIDTH}]{{3,}}"
)
"""Joiners have their place in Persian, in Indic scripts and in emoji, so alone they count between Latin letters."""
_FLAG_EMOJI = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
"""England, Scotland, Wales: the one proper use of the tags block."""
_DROPPED = re.compile(rf"[{_ZERO_WIDTH}\U000e0000-\U000e007f\u202a-\u202e\u2066-\u2069\u200e\u200f]")
_CYRILLIC = (
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0405\u0406\u0408"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u0501\u04bb\u051b\u051d"
)
_GREEK = "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf"
_TWINS = str.maketrans(_CYRILLIC + _GREEK + "\u0130\u0131", "ABEKMHOPCTXSIJaeopcyxsijdhqwABEZHIKMNOPTYXoIi")
"""Letters that look like Latin ones; the last two are i with and without a dot."""
_MIXED_WORD = re.compile(rf"(?=\w*[A-Za-z]{{2}})(?=\w*[{_CYRILLIC}{_GREEK}])\w{{4,}}")

_LONGEST_END = 30
_LONG_RUN, _LONG_WORD = re.compile(r"[\W_]{61,}"), re.compile(r"\w{61,}")

_LABEL = (
    r"(?:(?:final|total|overall|my|your|the|suggested|correct)\s+)*(?:score|rating|grade|verdict|judge?ment|points)"
)
_ASPECT = r"helpful|honest|harmless|relevant|complete|correct|usable|clear|concise"
_NUMBER = r"\[{0,2}\s*(?:[0-9]|10|100)(?:\.\d+)?\s*\]{0,2}(?![\d:\u2013-])"
_FAKE_VERDICT = (
    (
        "score rating grade verdict judg points",
        rf"(?:^|(?<=[.!?]\s))[\s>*_#`\"'({{\[-]*(?:{_LABEL})[\s*_\"'`)\]]*(?:\([^)\n]{{0,12}}\)\s*)?(?::|=|-|is\b)[\s*_\"'`(]*"
        rf"(?:{_NUMBER}|\[\[|(?:A|B|C|tie|zero|one|two|three|four|five)\b)",
    ),
    ("score rating grade verdict", r"[{,]\s*[\"']?(?:score|rating|grade|verdict)[\"']?\s*:\s*[\"']?[0-9AB]\b"),
    ("[[ \\boxed", r"\[\[\s*(?:[0-9]|10|A|B|C|tie)\s*\]\]|\\boxed\s*\{\s*[0-9AB]\s*\}"),
    (_ASPECT.replace("|", " "), rf"(?:^\W*(?:{_ASPECT})\W{{1,4}}(?:[0-5]|yes|no)\b[^\n]*\n+){{2}}"),
    (
        "give rate award score grade",
        r"\b(?:i|we) (?:would )?(?:give|rate|award|score|grade) (?:it|this|the response)"
        r"[^.\n]{0,30}\d\s*(?:/|out of)\s*\d",
    ),
)
_OUR_TAG = r"(?:responses?|requests?|prompt|answer|response_[ab]|system|user|assistant|instructions?|rubric|judge?ment)"
_CLOSING_TAG = (
    (
        "< [ &lt;",
        rf"<[\s\\/]*/[\s\\/]*{_OUR_TAG}\b[^<>]{{0,40}}>|\[\s*/\s*{_OUR_TAG}\s*\]|&lt;\s*/\s*{_OUR_TAG}\s*&gt;|\]\]\s*>\s*<",
    ),
    ("end close", rf"^\W*(?:end|close) of (?:the )?{_OUR_TAG}\b\W*$"),
)
_JUDGE = r"(?:judge|grader|evaluator|reviewer|examiner|rater|scorer|assessor|marker)"
_BEST = r"(?:full|maximum|max|highest|perfect|top|best|all (?:five|six|5|6)|five|5|100)"
_THIS = r"(?:this|my|the above|the following|the)\s+(?:response|answer|reply|one)"
_ADDRESSES = (
    (
        "judge grader evaluator reviewer examiner rater scorer assessor marker",
        rf"\b(?:dear|hello|hey|attention|note (?:to|for)|message (?:to|for)|instructions? (?:to|for)|for|to)[\s,:]+"
        rf"(?:(?:the|any|all|every|ai|llm|automated|my|our)\s+){{0,3}}{_JUDGE}s?\s*[:,.!\u2014\u2013-]"
        rf"|^\W*(?:ai |llm )?{_JUDGE}\s*[:,]",
    ),
    (
        "judge grade evaluator reviewer examiner rate score assessor marker",
        rf"\b(?:you|your role|your task)\b[^.\n]{{0,40}}\b(?:as|are|is)\b[^.\n]{{0,20}}"
        rf"\b(?:an? |the |to )?(?:{_JUDGE}|grade|rate|score)\b",
    ),
    (
        "ignore disregard forget override",
        r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,30}\b(?:previous|prior|above|earlier|preceding|other|the|your|all)\b"
        r"[^.\n]{0,25}\b(?:instructions?|rubric|criteria|rules|guidelines|prompt|directions)\b",
    ),
    (
        "give award assign grant grade rate score mark",
        rf"\b(?:give|award|assign|grant|grade|rate|score|mark)\b[^.\n]{{0,25}}\b(?:{_THIS}|it|me)\b[^.\n]{{0,30}}\b{_BEST}\b"
        rf"|\b(?:give|award|assign|grant)\b[^.\n]{{0,25}}\b{_BEST}\s+(?:score|marks?|points?|grade|rating)\b",
    ),
    (
        "deserve merit earn must gets scores",
        rf"\b{_THIS}\b[^.\n]{{0,30}}\b"
        rf"(?:deserves?|merits|earns?|must (?:get|receive|be (?:given|rated|scored))|gets|scores)\b"
        rf"[^.\n]{{0,30}}\b(?:{_BEST}|scores?|points?|marks?)\b",
    ),
    (
        "choose prefer select pick vote",
        r"\b(?:choose|prefer|select|pick|vote for)\b[^.\n]{0,12}\b(?:response|answer)\s+[AB]\b",
    ),
    (
        "better worse",
        r"\b(?:this|my) (?:response|answer) is (?:the )?better\b"
        r"|\bresponse [ab] is (?:clearly |much |far )*(?:better|worse)\b",
    ),
    (
        "system admin developer",
        r"\b(?:system|admin(?:istrator)?|developer)[\s_-]*(?:override|message|notice|update|instruction)\b",
    ),
    (
        "grading evaluation scoring judging",
        r"\b(?:grading|evaluation|scoring|judging) (?:is over|is (?:now )?complete|override|mode|instructions?)\b",
    ),
)
_TEMPLATE = (
    (
        "{{",
        r"\{\{-?\s*(?:prompt|response(?:_[ab])?|score|letter|aspect|examples|next|number|text|messages?|config|self|request)\b"
        r"[^{}\n]{0,60}\}\}",
    ),
    (
        "{%",
        r"\{%-?\s*(?:if|for|set|raw|endraw|include|import|macro|block|endif|endfor|generation)\b[^%]{0,80}%\}",
    ),
    ("${", r"\$\{\s*(?:prompt|response|score)\s*\}"),
)
_THINKING = (("<", r"</?\s*(?:think|thinking|thought|reasoning|scratchpad|reflection)\s*>"),)
_OMISSION = (
    (
        "omitted left truncated removed redacted shortened",
        r"[\[(<{][^\[\](){}<>\n]{0,50}"
        r"\b(?:omitted|left out|truncated|removed|redacted|shortened)\b[^\[\](){}<>\n]{0,40}"
        r"[\])>}]",
    ),
)


def _hidden(raw: str, plain: str) -> bool:
    if raw.isascii():
        return False
    text = _FLAG_EMOJI.sub("", raw)
    return _HIDDEN.search(text) is not None or _MIXED_WORD.search(text) is not None


def _found(parts: Iterable[tuple[str, str]]) -> Callable[[str, str], bool]:
    """Looks for patterns. Before each stand words, in small letters, of which every match of it holds at least one.

    The words are looked for first, since that takes a fiftieth of the time.
    """
    compiled = [(words.split(), re.compile(pattern, re.IGNORECASE | re.MULTILINE)) for words, pattern in parts]

    def found(raw: str, plain: str) -> bool:
        small = plain.lower()
        return any(any(word in small for word in words) and pattern.search(plain) for words, pattern in compiled)

    return found


_REASONS: Mapping[str, Callable[[str, str], bool]] = {
    "fake_verdict": _found(_FAKE_VERDICT),
    "closing_tag": _found(_CLOSING_TAG),
    "addresses_judge": _found(_ADDRESSES),
    "special_tokens": lambda raw, plain: spells_control(raw) or spells_control(plain),
    "hidden_characters": _hidden,
    "template_syntax": _found(_TEMPLATE),
    "fake_thinking": _found(_THINKING),
    "fake_omission": _found(_OMISSION),
}
REASONS = tuple(_REASONS)
"""All that is looked for."""


def _bounded(text: str) -> str:
    """Without the middle of long runs of blanks and marks, and of long words: patterns would try every part of them."""
    text = _LONG_RUN.sub(lambda run: run[0][:_LONGEST_END] + run[0][-_LONGEST_END:], text)
    return _LONG_WORD.sub(lambda word: word[0][:_LONGEST_END] + word[0][-_LONGEST_END:], text)


@lru_cache(maxsize=16)  # figures and flags look at the same pair, one after the other
def reasons(text: str) -> tuple[str, ...]:
    """What in the text could steer a judge, by the names in :data:`REASONS`; nothing of most texts.

    Words are also looked for behind hidden characters, full-width letters and letters of other alphabets that look
    alike.
    """
    text = _bounded(text)
    plain = unicodedata.normalize("NFKC", _DROPPED.sub("", text)).translate(_TWINS)
    return tuple(name for name, found in _REASONS.items() if found(text, plain))
