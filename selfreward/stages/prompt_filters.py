"""Drops generated prompts that are unfit or too like an earlier one.

The rules are Self-Instruct's (Wang et al. 2022, arXiv 2212.10560, section 2.2 and its code): length, keywords
of what text cannot serve, odd first characters, ROUGE-L against every seed and every earlier prompt.
"""

import re
import string
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, model_validator

from selfreward.languages import LanguageCode, has_spaces, words, written_in
from selfreward.records import Frozen
from selfreward.rouge import RougeIndex

# English requests that need something which a model may have left out: "Translate this sentence into French."
_MATERIAL = re.compile(r"[:\"“”«`\n\[({=<]|(?<!\w)['\u2018]")
_POINTS_AT = re.compile(
    r"\b(?:this|these|those|the following|the above) (?:[\w-]+ ){0,2}?(?P<noun>text|sentence|paragraph|passage|article"
    r"|essay|poem|story|code|function|snippet|query|table|equation|script|document|email|letter|conversation|dialogue"
    r"|list|word|phrase|number|statement|option|problem|question|riddle|dataset|data|spreadsheet|input|project|topic"
    r"|situation|scenario)s?\b"
    r"|\bthese (?:two|three|four|five)\b"
    r"|\b(?:of|between|among|in|into|from|to|for|with|classify|sort|translate|solve) the following\b"
    r"|\b(?:text|sentence|paragraph|passage|article|poem|code|function|snippet|table|list)s? (?:below|above)\b"
    r"|\A(?:(?:what|how|why|who|when|where|which|is|are|was|do|does|did|can|could|you|explain|describe|list|name|tell"
    r"|me|please) )+(?:its|their)\b",
    re.IGNORECASE,
)


class FilterConfig(Frozen):
    """Which generated prompts are dropped; the defaults are Self-Instruct's."""

    language: LanguageCode = "en"
    """What prompts are to be written in; others are dropped as "non_english" or "other_language".

    ``en``: the first character and the first letter are ASCII. Another code: at least half of the words are in its
    script and, if that is Latin, English's commonest words are not more than its own. ``any``: no such rule. It also
    decides how texts are split into words, and which labels of tasks and answers cleaning knows: English ones, and
    the language's own.
    """

    min_words: int = Field(default=3, ge=0)
    """Prompts of fewer words are dropped as "too_short". ``en`` counts what stands between spaces, other languages
    count runs of letters and digits; in scripts without spaces (Chinese, Japanese, Thai …) a character is a word."""

    max_words: int = Field(default=150, ge=1)
    """Prompts of more words are dropped as "too_long"."""

    max_rouge_l: float = Field(default=0.7, ge=0, le=1)
    """Prompts whose ROUGE-L F1 (0 to 1) with any earlier text is above this are "rouge_l" and dropped. Its words are
    ASCII letters and digits for ``en``, as in the rouge_score package, and those of ``min_words`` for the others."""

    # fmt: off
    keywords: tuple[Annotated[str, Field(pattern=r"\S")], ...] = (
        "image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps",
        "draw", "plot", "go to", "video", "audio", "music", "flowchart", "diagram",
    )
    # fmt: on
    """Prompts with one of these as whole words, in any case, are dropped as "keyword"; in scripts without spaces,
    anywhere. These are English words: another language needs its own."""

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is above max_words {self.max_words}: none is kept")
        return self


class PromptFilter:
    """Tells which prompts to drop, given ``known`` texts (seeds, earlier prompts) that no rule applies to."""

    def __init__(self, config: FilterConfig, known: Iterable[str] = ()) -> None:
        self._config = config
        self._keyword = _any_keyword(config.keywords)
        texts = list(known)
        self._seen = {_normalised(text) for text in texts}
        self._known = RougeIndex(config.max_rouge_l, [self._words(text) for text in texts])

    def reason(self, text: str) -> str | None:
        """Why ``text`` is to be dropped, or None where it is to be kept: the first that holds, in this order.

        "empty", "too_short", "too_long", "keyword", "leading_punctuation", "non_english" or "other_language",
        "missing_material" (English that points at a text which is not there), "duplicate" (equal to a known text
        but for case and whitespace), "rouge_l".
        """
        if reason := self._unfit(text):
            return reason
        if _normalised(text) in self._seen:
            return "duplicate"
        return "rouge_l" if self._known.above(self._words(text)) else None

    def add(self, text: str) -> None:
        """Make ``text`` known to later calls."""
        self._seen.add(_normalised(text))
        self._known.add(self._words(text))

    def drop_reasons(self, texts: Iterable[str]) -> list[str | None]:
        """For each text its ``reason``, with every kept text added before the next: the first of a kind wins."""
        reasons = []
        for text in texts:
            reasons.append(self.reason(text))
            if reasons[-1] is None:
                self.add(text)
        return reasons

    def _unfit(self, text: str) -> str | None:
        """The reason that lies in the text alone."""
        text, config = text.strip(), self._config
        length = len(text.split() if config.language == "en" else self._words(text))
        rules = {
            "empty": not text,
            "too_short": length < config.min_words,
            "too_long": length > config.max_words,
            "keyword": self._keyword is not None and self._keyword.search(text),
            "leading_punctuation": text[:1] in set(string.punctuation),
            "non_english" if config.language == "en" else "other_language": not written_in(text, config.language),
            "missing_material": config.language == "en" and _lacks_material(text),
        }
        return next((reason for reason, holds in rules.items() if holds), None)

    def _words(self, text: str) -> list[str]:
        return words(text, self._config.language)


def _lacks_material(text: str) -> bool:
    """Whether the first sentence points at something that neither it nor what comes behind it has."""
    first = re.split(r"(?<=[.?!])\s", text, maxsplit=1)[0]
    found = None if _MATERIAL.search(text) else _POINTS_AT.search(first)
    return found is not None and (found["noun"] or "?") not in first[: found.start()]


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())


def _any_keyword(keywords: Iterable[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(_keyword, keywords)), re.IGNORECASE) if keywords else None


def _keyword(keyword: str) -> str:
    """A pattern: whole words, where the script has spaces that show where they end."""
    keyword = keyword.strip()
    before = r"(?<!\w)" if has_spaces(keyword[0]) else ""
    after = r"(?!\w)" if has_spaces(keyword[-1]) else ""
    return before + r"\s+".join(map(re.escape, keyword.split())) + after
