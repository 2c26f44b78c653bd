"""What people say of a prompt's responses: the yardstick that a judge is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfreward.records import Ranked
from selfreward.seeding.agreement import preferred
from selfreward.seeding.from_ranks import standings
from selfreward.seeding.ranked import by_prompt

Pair = tuple[str, str]
"""Ids of two responses to one prompt; the first is the one that people prefer."""


@dataclass(frozen=True)
class Ranking:
    """One prompt's responses as people rank them."""

    prompt_id: str
    responses: Mapping[str, str]
    """Texts by id."""
    pairs: tuple[Pair, ...]
    """All pairs of which people prefer one; what they rank equal is in none."""
    standing: Mapping[str, float]
    """Higher is better; empty where people's evidence gives no single order."""

    @property
    def best(self) -> frozenset[str]:
        """The responses that people prefer to others, and none to them."""
        return frozenset(better for better, _ in self.pairs) - {worse for _, worse in self.pairs}

    def of_pair(self, pair: Pair) -> Ranking:
        """One pair as a ranking of two."""
        better, worse = pair
        texts = {one: self.responses[one] for one in pair}
        return Ranking(self.prompt_id, texts, (pair,), {better: 1.0, worse: 0.0})


def rankings(rows: Sequence[Ranked]) -> list[Ranking]:
    """The prompts of which people prefer one response to another, by their ids: the file's order moves no figure."""
    found = []
    for prompt_id, group in sorted(by_prompt(list(rows)).items()):
        ordered = sorted(group, key=lambda row: (row.response, row.id))
        pairs = tuple((better.id, worse.id) for better, worse in preferred(ordered))
        if pairs:
            found.append(Ranking(prompt_id, {row.id: row.response for row in ordered}, pairs, standings(ordered)))
    return found
