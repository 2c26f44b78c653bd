"""Drops generated prompts that are unfit or too like an earlier one.

The rules are Self-Instruct's (Wang et al. 2022, arXiv 2212.10560, section 2.2 and its code): length, keywords
of what text cannot serve, odd first characters, ROUGE-L against every seed and every earlier prompt.
"""

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator
from rapidfuzz import process
from rapidfuzz.distance import Indel

from selfreward.records import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# New texts taken at a time, and comparisons at a time: about 16 MB of scores.
_BATCH = 1_024
_COMPARISONS = 4_000_000

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
        self._numbers: dict[str, int] = {}
        self._seen: set[str] = set()
        self._known: dict[int, list[list[int]]] = {}  # by number of words
        for text in known:
            self.add(text)

    def reason(self, text: str) -> str | None:
        """Why ``text`` is to be dropped, or None where it is to be kept: the first that holds, in this order.

        "empty", "too_short", "too_long", "keyword", "leading_punctuation", "non_english", "duplicate" (equal
        to a known text but for case and whitespace), "rouge_l".
        """
        if reason := self._unfit(text):
            return reason
        if _normalised(text) in self._seen:
            return "duplicate"
        return "rouge_l" if self._like_known([self._encode(text)]) else None

    def add(self, text: str) -> None:
        """Make ``text`` known to later calls."""
        words = self._encode(text)
        self._seen.add(_normalised(text))
        self._known.setdefault(len(words), []).append(words)

    def drop_reasons(self, texts: Sequence[str]) -> list[str | None]:
        """For each text its ``reason``, with every kept text added before the next: the first of a kind wins.

        20,000 texts against 100,000 take minutes on two cores; memory grows with the number of texts alone.
        """
        batches = (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))
        return [reason for batch in batches for reason in self._drop_batch(batch)]

    def _drop_batch(self, texts: Sequence[str]) -> list[str | None]:
        reasons = [self._unfit(text) for text in texts]
        fit = [index for index, reason in enumerate(reasons) if reason is None]
        encoded = [self._encode(texts[index]) for index in fit]
        like_known = self._like_known(encoded)
        like_earlier: dict[int, list[int]] = {}
        for rows, columns in _similar(encoded, encoded, self._config.max_rouge_l):
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                if column < row:
                    like_earlier.setdefault(row, []).append(column)
        for row, index in enumerate(fit):
            if _normalised(texts[index]) in self._seen:
                reasons[index] = "duplicate"
            elif row in like_known or any(reasons[fit[other]] is None for other in like_earlier.get(row, ())):
                reasons[index] = "rouge_l"
            else:
                self.add(texts[index])
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

    def _encode(self, text: str) -> list[int]:
        """The words' numbers, in order: rapidfuzz compares numbers faster than strings."""
        numbers = self._numbers
        return [numbers.setdefault(word, len(numbers)) for word in self._word.findall(text.lower())]

    def _like_known(self, encoded: Sequence[list[int]]) -> set[int]:
        """The positions of the texts that are too like a known one."""
        limit = self._config.max_rouge_l
        by_length: dict[int, list[int]] = {}
        for position, words in enumerate(encoded):
            by_length.setdefault(len(words), []).append(position)
        found: set[int] = set()
        for length, positions in by_length.items():
            # Two texts have at most the shorter one in common, so most lengths need no look.
            near = [n for n in self._known if _f1(min(length, n), length, n) > limit]
            others = [words for n in near for words in self._known[n]]
            group = [encoded[position] for position in positions]
            for rows, _ in _similar(group, others, limit):
                found.update(positions[row] for row in set(rows.tolist()))
        return found


def _similar(
    texts: Sequence[list[int]], others: Sequence[list[int]], limit: float
) -> "Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]":
    """Positions (in ``texts``, in ``others``) of the pairs with ROUGE-L F1 above ``limit``, chunk by chunk.

    ROUGE-L F1 is 2 * LCS / (words + words), which is rapidfuzz's normalised Indel similarity of the two.
    """
    import numpy as np

    lengths, other_lengths = np.array([len(t) for t in texts]), np.array([len(t) for t in others])
    chunk = max(1, _COMPARISONS // max(1, len(texts)))
    for start in range(0, len(others), chunk):
        scores = process.cdist(
            texts,
            others[start : start + chunk],
            scorer=Indel.normalized_similarity,
            score_cutoff=max(0.0, limit - 1e-6),  # what is below it comes as 0
            dtype=np.float32,
            workers=-1,
        )
        rows, columns = np.nonzero(scores)
        total = np.maximum(lengths[rows] + other_lengths[start + columns], 1)
        # Back to the whole number of common words: a similarity equal to the limit is not above it.
        common = np.rint(scores[rows, columns] * total / 2)
        above = 2 * common / total > limit
        yield rows[above], start + columns[above]


def _f1(common: int, words: int, others: int) -> float:
    return 2 * common / max(words + others, 1)


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())


def _starts_in_ascii(text: str) -> bool:
    """Whether the first character and the first letter are ASCII; False for a text without letters."""
    return text[:1].isascii() and next((letter.isascii() for letter in text if letter.isalpha()), False)


def _any_keyword(keywords: Iterable[str]) -> re.Pattern[str] | None:
    words = [r"\s+".join(re.escape(part) for part in keyword.split()) for keyword in keywords]
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE) if words else None
