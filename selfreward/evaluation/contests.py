"""Two models' responses to the same prompts, one against one, and who wins by verdicts in both orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from selfreward.evaluation.opinion import EVEN, Orders
from selfreward.records import Response

Outcome = Literal["win", "tie", "loss"]
"""Of the second model."""
_NOTHING = 1e-9


@dataclass(frozen=True)
class Contest:
    """A response of each model to the same prompt."""

    first: Response
    second: Response

    @property
    def prompt_id(self) -> str:
        """The prompt of both."""
        return self.first.prompt_id

    @property
    def identical(self) -> bool:
        """Whether they are the same answer: a tie, about which no judge is asked."""
        return self.first.text.strip() == self.second.text.strip()

    @property
    def longer(self) -> float:
        """1 where the second has more characters, 0 where the first has, one half where they are equally long."""
        first, second = len(self.first.text), len(self.second.text)
        return 0.5 if first == second else float(second > first)

    def chances(self, orders: Mapping[tuple[str, str], Orders]) -> tuple[float, float] | None:
        """The second response's chance to be better in either order; None where one of them could not be read."""
        if self.identical:
            return EVEN, EVEN
        low, high = sorted((self.first.id, self.second.id))
        found = orders.get((low, high))
        if found is None or found.shown_first is None or found.shown_second is None:
            return None
        both = found.shown_first, found.shown_second
        return both if low == self.second.id else (1 - both[0], 1 - both[1])


def contests(first: Iterable[Response], second: Iterable[Response]) -> list[Contest]:
    """Responses with the same place among those to the same prompt; what has no counterpart is in none."""
    others = {(response.prompt_id, response.index): response for response in second}
    pairs = ((response, others.get((response.prompt_id, response.index))) for response in first)
    return [Contest(one, other) for one, other in pairs if other is not None]


def of_prompts(pairs: Iterable[Contest]) -> dict[str, list[Contest]]:
    """By the prompt's id."""
    found: defaultdict[str, list[Contest]] = defaultdict(list)
    for pair in pairs:
        found[pair.prompt_id].append(pair)
    return dict(found)


def outcome(chances: tuple[float, float]) -> Outcome:
    """Only what wins in both orders wins: where they disagree, or one of them is even, it is a tie."""
    if min(chances) > EVEN + _NOTHING:
        return "win"
    return "loss" if max(chances) < EVEN - _NOTHING else "tie"
