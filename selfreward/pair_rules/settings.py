"""What pair rules have: the settings they share, and what the stage asks of a rule."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field

from selfreward.pair_rules.scored import Scored
from selfreward.records import Frozen

Choice = list[tuple[Scored, Scored]] | str
"""(chosen, rejected) pairs of one prompt, the one with the widest margin first, or the reason why there is none."""
Labels = tuple[list[tuple[Scored, bool]], Counter[str]]
"""(response, whether it is wanted) of one prompt, and how many responses are left out, by reason."""
Makes = Literal["pairs", "positives", "labelled"]
"""Pairs; single responses that are all wanted; single responses with whether they are."""
Asks = Literal["nothing", "initial", "previous"]
"""What a rule needs beside an iteration's own records: the initial model's judged responses, or M_{t-1}'s verdicts."""


class RuleSettings(Frozen):
    """Settings of every rule; a rule adds its ``type`` and its own settings."""

    content: Literal["answer", "reasoning_and_answer"] = "answer"
    """What of a response that thinks aloud is trained on."""

    makes: ClassVar[Makes] = "pairs"
    """What training is given; an objective says which of them it learns from."""
    seeded: ClassVar[bool] = False
    """Whether the rule draws, so that the run's seed is part of what it depends on."""
    looks_at_all: ClassVar[bool] = False
    """Whether ``keep`` has to see the margins of the whole iteration before any pair is stored."""
    asks: ClassVar[Asks] = "nothing"
    """What it looks at besides; each is a stage of its own, made for rules that ask."""

    @property
    def stage(self) -> str:
        """The stage that keeps what it makes."""
        return "pairs" if self.makes == "pairs" else "labelled"

    def at(self, iteration: int) -> Self:
        """The rule with the settings that hold in one iteration (1, 2, …)."""
        return self

    def problem(self, iterations: int) -> str | None:
        """What keeps the rule from being used for so many iterations."""
        return None

    def most_rows(self, prompts: int, responses: int) -> int:
        """How many rows to train on can come of so many prompts with so many responses each."""
        return prompts


class JudgedSettings(RuleSettings):
    """Of rules that look at verdicts; where a rule does not, nothing is judged."""

    min_readable: int = Field(default=1, ge=1)
    """Least number of readable verdicts that a response needs."""


class PairSettings(JudgedSettings):
    """Of rules that hold two scores against each other; they add ``choose``."""

    min_margin: float = Field(default=0.0, ge=0)
    """Least difference of the two scores. Expected scores hardly ever tie, so give them a margin."""

    def choose(self, scored: Sequence[Scored], seed: int) -> Choice:
        """The pairs of one prompt. The order of ``scored`` does not matter; ``seed`` is the iteration's."""
        raise NotImplementedError

    def keep(self, margins: Mapping[str, float]) -> Collection[str]:
        """Which prompts keep their pairs, given every prompt's widest margin by its id."""
        return margins.keys()


class LabelSettings(JudgedSettings):
    """Of rules that look at each response by itself; they add ``label``."""

    min_score: float | None = None
    """Least mean score of a response that is wanted; the top of the rubric's scale where not set."""

    def label(self, scored: Sequence[Scored]) -> Labels:
        """The responses of one prompt that are trained on. The order of ``scored`` does not matter."""
        raise NotImplementedError

    def on_scale(self, top: float) -> Self:
        """The rule for scores that reach up to ``top``."""
        return self if self.min_score is not None else self.model_copy(update={"min_score": top})

    def most_rows(self, prompts: int, responses: int) -> int:
        """All responses."""
        return prompts * responses


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


def different(scored: Sequence[Scored]) -> list[Scored]:
    """In the order of their index, the lowest of each text standing for all that are the same."""
    once = {text_of(s): s for s in sorted(scored, key=lambda s: s.response.index, reverse=True)}
    return sorted(once.values(), key=lambda s: s.response.index)


def nothing_labelled(usable: Sequence[Scored], found: Sequence[tuple[Scored, bool]]) -> str | None:
    """Why none of a prompt's responses is trained on; None where some are.

    Reasons: ``none_usable``, ``none_good_enough``.
    """
    if found:
        return None
    return "none_good_enough" if usable else "none_usable"
