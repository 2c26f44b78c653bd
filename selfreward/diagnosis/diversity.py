"""Diversity collapses: prompts repeat each other, candidates are the same, and all of it uses the same phrases."""

from __future__ import annotations

import re
from typing import Any

from selfreward.diagnosis import thresholds as at
from selfreward.diagnosis.family import Check, Family, Figures, at_least, at_most
from selfreward.diagnosis.numbers import ratio, rounded, share, within
from selfreward.records import Prompt, Response
from selfreward.rouge import RougeIndex

_WORD = re.compile(r"\w+")
_FRESHER = "a higher prompts.temperature, more seeds, or a fixed prompts.model"
_LIVELIER = "a higher responses.temperature, a lower train.learning_rate or a higher train.beta"


def _distinct(kind: str, now: Figures) -> float | None:
    return within(now, "diversity", f"{kind}_distinct_2")


def _against_before(kind: str, now: Figures, before: Figures) -> float | None:
    return ratio(_distinct(kind, now), _distinct(kind, before))


class Diversity(Family):
    """Of prompts and of responses. Nothing is said of topics."""

    failure = "diversity collapses"
    checks = (
        Check(
            "prompts_distinct_2",
            "prompts: distinct-2",
            lambda now, _: _distinct("prompts", now),
            at_least(at.DISTINCT),
            "Prompts are made of the same phrases over and over.",
            _FRESHER,
            f"fewer than {at.WINDOW} words",
        ),
        Check(
            "near_duplicate_prompts",
            "prompts nearly repeated",
            lambda now, _: within(now, "diversity", "near_duplicate_prompts"),
            at_most(at.NEAR_DUPLICATES),
            "Many prompts nearly repeat another one of this iteration.",
            f"{_FRESHER}; a lower prompts.filters.max_rouge_l drops them",
            "no prompts",
            ("prompts", at.MIN_PAIRS),
        ),
        Check(
            "responses_distinct_2",
            "responses: distinct-2",
            lambda now, _: _distinct("responses", now),
            at_least(at.DISTINCT),
            "Responses are made of the same phrases over and over.",
            _LIVELIER,
            f"fewer than {at.WINDOW} words",
        ),
        Check(
            "distinct_against_before",
            "that against before",
            lambda now, before: _against_before("responses", now, before),
            at_least(at.DISTINCT_FALL),
            "Responses repeat the same phrases more than in the iteration before.",
            _LIVELIER,
            "no iteration before it with as many words",
            trend=True,
        ),
        Check(
            "same_text_share",
            "candidates word for word",
            lambda now, _: within(now, "diversity", "same_text_share"),
            at_most(at.SAME_TEXT),
            "Many candidates of a prompt are the same text, and equal texts give no pair.",
            "a higher responses.temperature or responses.top_p",
            "no responses",
            ("responses", at.MIN_RESPONSES),
        ),
    )

    def __init__(self) -> None:
        self._prompts, self._responses = DistinctPairs(), DistinctPairs()
        self._index = RougeIndex(at.NEAR_DUPLICATE)
        self._near = self._same = self._count = 0
        self._prompt_id, self._texts = "", set[str]()

    def prompt(self, prompt: Prompt) -> None:
        """Its phrases, and whether it is near an earlier one."""
        words = _words(prompt.text)
        self._prompts.add(words)
        if len(self._index) < at.PROMPTS_COMPARED:
            self._near += bool(self._index.above(words))
            self._index.add(words)

    def response(self, response: Response) -> None:
        """Its phrases, and whether another candidate of its prompt is the same."""
        self._responses.add(_words(response.text))
        if response.prompt_id != self._prompt_id:
            self._prompt_id, self._texts = response.prompt_id, set()
        self._same += response.text in self._texts
        self._texts.add(response.text)
        self._count += 1

    def figures(self) -> dict[str, Any]:
        """Under one name."""
        found = {
            "prompts_distinct_2": self._prompts.share,
            "near_duplicate_prompts": share(self._near, len(self._index)),
            "responses_distinct_2": self._responses.share,
            "same_text_share": share(self._same, self._count),
        }
        return {"diversity": {name: value for name, value in found.items() if value is not None}}


class DistinctPairs:
    """Distinct-2 (Li et al. 2016, arXiv 1510.03055) as a mean over windows of equally many words.

    A window at a time is kept, and what is left over of the last one does not count.
    """

    def __init__(self, window: int = at.WINDOW) -> None:
        self._window = window
        self._words = self._pairs = self._windows = 0
        self._seen = set[tuple[str, str]]()
        self._sum = 0.0

    def add(self, words: list[str]) -> None:
        """One more text; a pair of words never goes from one text to the next."""
        for i, word in enumerate(words):
            self._words += 1
            if i:
                self._pairs += 1
                self._seen.add((words[i - 1], word))
            if self._words == self._window:
                self._sum += len(self._seen) / max(self._pairs, 1)
                self._windows += 1
                self._words = self._pairs = 0
                self._seen = set()

    @property
    def share(self) -> float | None:
        """None before the first window is full."""
        return rounded(self._sum / self._windows) if self._windows else None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
