"""Drops generated prompts that are unfit or too like an earlier one.

The rules are Self-Instruct's (Wang et al. 2022, arXiv 2212.10560, section 2.2 and its code): length, keywords
of what text cannot serve, odd first characters, ROUGE-L against every seed and every earlier prompt.
"""

import re
import string
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, model_validator

from selfreward.records import Frozen
from selfreward.rouge import RougeIndex

_ROUGE_WORD = re.compile(r"[a-z0-9]+")
_ANY_WORD = re.compile(r"[^\W_]+")


class FilterConfig(Frozen):
    """Which generated prompts are dropped; the defaults are Self-Instruct's."""

    min_words: int = Field(default=3, ge=0)
    """Prompts of fewer words (split at whitespace) are dropped as "too_short"."""

    max_words: int = Field(default=150, ge=1)
    """Prompts of more words (split at whitespace) are dropped as "too_long"."""

    max_rouge_l: float = Field(default=0.7, ge=0, le=1)
    """Prompts whose ROUGE-L F1 (0 to 1) with any earlier text is above this are "rouge_l" and dropped."""

    # fmt: off
    keywords: tuple[Annotated[str, Field(pattern=r"\S")], ...] = (
        "image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps",
        "draw", "plot", "go to", "video", "audio", "music", "flowchart", "diagram",
    )
    # fmt: on
    """Prompts with one of these as whole words, in any case, are dropped as "keyword"."""

    english_only: bool = True
    """Drop prompts as "non_english" whose first character or first letter is not ASCII, or without a letter.

    ROUGE-L then sees ASCII letters and digits only, as the rouge_score package does. When this is off, words
    are runs of Unicode letters and digits, so that no script vanishes; one without spaces has a word a
    clause.
    """

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
        self._word = _ROUGE_WORD if config.english_only else _ANY_WORD
        texts = list(known)
        self._seen = {_normalised(text) for text in texts}
        self._known = RougeIndex(config.max_rouge_l, [self._words(text) for text in texts])

    def reason(self, text: str) -> str | None:
        """Why ``text`` is to be dropped, or None where it is to be kept: the first that holds, in this order.

        "empty", "too_short", "too_long", "keyword", "leading_punctuation", "non_english", "duplicate" (equal
        to a known text but for case and whitespace), "rouge_l".
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
        text, words, config = text.strip(), len(text.split()), self._config
        rules = {
            "empty": not text,
            "too_short": words < config.min_words,
            "too_long": words > config.max_words,
            "keyword": self._keyword is not None and self._keyword.search(text),
            "leading_punctuation": text[:1] in set(string.punctuation),
            "non_english": config.english_only and not _starts_in_ascii(text),
        }
        return next((reason for reason, holds in rules.items() if holds), None)

    def _words(self, text: str) -> list[str]:
        return self._word.findall(text.lower())


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())


def _starts_in_ascii(text: str) -> bool:
    """Whether the first character and the first letter are ASCII; False for a text without letters."""
    return text[:1].isascii() and next((letter.isascii() for letter in text if letter.isalpha()), False)


def _any_keyword(keywords: Iterable[str]) -> re.Pattern[str] | None:
    words = [r"\s+".join(re.escape(part) for part in keyword.split()) for keyword in keywords]
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE) if words else None
