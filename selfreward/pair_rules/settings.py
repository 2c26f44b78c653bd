"""What every pair rule has: the settings they share, and what the stage asks of a rule."""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field

from selfreward.pair_rules.scored import Scored
from selfreward.records import Frozen

Choice = list[tuple[Scored, Scored]] | str
"""(chosen, rejected) pairs of one prompt, the one with the widest margin first, or the reason why there is none."""
Asks = Literal["nothing", "initial", "previous"]
"""What a rule needs beside an iteration's own records: the initial model's judged responses, or M_{t-1}'s verdicts."""


class PairSettings(Frozen):
    """Settings of every rule; a rule adds its ``type``, its own settings and ``choose``."""

    min_margin: float = Field(default=0.0, ge=0)
    """Least difference of the two scores. Expected scores hardly ever tie, so give them a margin."""
    min_readable: int = Field(default=1, ge=1)
    """Least number of readable verdicts that a response needs."""
    content: Literal["answer", "reasoning_and_answer"] = "answer"
    """What of a response that thinks aloud is trained on."""

    seeded: ClassVar[bool] = False
    """Whether ``choose`` draws, so that the run's seed is part of what it depends on."""
    looks_at_all: ClassVar[bool] = False
    """Whether ``keep`` has to see the margins of the whole iteration before any pair is stored."""
    asks: ClassVar[Asks] = "nothing"
    """What it looks at besides; each is a stage of its own, made for rules that ask."""

    def choose(self, scored: Sequence[Scored], seed: int) -> Choice:
        """The pairs of one prompt. The order of ``scored`` does not matter; ``seed`` is the iteration's."""
        raise NotImplementedError

    def keep(self, margins: Mapping[str, float]) -> Collection[str]:
        """Which prompts keep their pairs, given every prompt's widest margin by its id."""
        return margins.keys()

    def at(self, iteration: int) -> Self:
        """The rule with the settings that hold in one iteration (1, 2, …)."""
        return self

    def problem(self, iterations: int) -> str | None:
        """What keeps the rule from being used for so many iterations."""
        return None

    def most_pairs(self, prompts: int, responses: int) -> int:
        """How many pairs can come of so many prompts with so many responses each."""
        return prompts


def no_pair(scored: Sequence[Scored], min_margin: float) -> str | None:
    """Why no two of a prompt's responses can be a pair, whatever the rule; None where some can.

    Reasons: ``too_few_usable``, ``tie`` (all scores are equal), ``small_margin``, ``identical`` (all texts are equal).
    """
    if len(scored) < 2:
        return "too_few_usable"
    spread = max(s.score for s in scored) - min(s.score for s in scored)
    if not spread:
        return "tie"
    if spread < min_margin:
        return "small_margin"
    return "identical" if len({text_of(s) for s in scored}) == 1 else None


def text_of(scored: Scored) -> str:
    """What makes two responses the same one."""
    return scored.response.text.strip()
