"""What every judge method does: candidates in, judgments out, and the words that an EFT example teaches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Asking, Capability
from selfreward.records import EFTSeed, Judgment, Message


@dataclass(frozen=True, slots=True)
class Candidate:
    """A response to judge, beside the prompt it answers."""

    prompt_id: str
    response_id: str
    prompt: str
    response: str
    reference: str | None = None
    """A good answer, for rubrics that grade against one."""

    @property
    def response_ids(self) -> tuple[str, ...]:
        return (self.response_id,)

    @property
    def responses(self) -> tuple[str, ...]:
        return (self.response,)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two responses to one prompt, in the order in which they are shown."""

    prompt_id: str
    response_ids: tuple[str, ...]
    prompt: str
    responses: tuple[str, ...]
    reference: str | None = None


Shown = Candidate | Comparison
"""What one question to a judge is about."""


@dataclass(frozen=True, slots=True)
class Listener:
    """The model that is to judge, as far as a question to it depends on it."""

    chat: Chat | None
    """None where only an endpoint knows how its tokens are made."""
    context: int
    """Most tokens of question and verdict together."""
    weights: Path | None = None
    """Its adapter over the root model or its whole model, where it is one that was trained."""
    reference: Path | None = None
    """Those of the model before it, for rewards that are taken against one."""


JudgedBy = Literal["model", "policy", "reward_model", "function"]
"""Who answers a method: a model that is spoken to, the policy by its own probabilities, a reward model, or nobody."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What judging takes, for the plan of a run."""

    rows: int
    """Judgments."""
    questions: int
    """That are read; several verdicts may be written to each."""
    responses: int = 1
    """In a question."""
    written: int = 0
    """Verdicts that are written."""
    max_tokens: int = 0
    """Of one of them."""
    tries: int = 1
    """At most, for one verdict."""


class Reader(Protocol):
    """A rubric and a way to ask for its verdict, on one response or on two of them."""

    needs: frozenset[Capability]

    def judge(self, candidates: Sequence[Shown], listener: Listener, model: str, seed: int) -> Asking[list[Judgment]]:
        """Equally many judgments of each, in order; of two responses, from 0 to 1 how surely the first is better."""
        ...

    def check(self, chat: Chat | None) -> None:
        """As :class:`Judge` does."""
        ...


class Judge(Protocol):
    """A judge method, with its rubric where it reads one."""

    needs: frozenset[Capability]
    """What its engine must be capable of."""

    def judge(
        self, candidates: Sequence[Candidate], listener: Listener, model: str, seed: int
    ) -> Asking[list[Judgment]]:
        """All judgments of the candidates, in the candidates' order. ``model`` names the judge in the records."""
        ...

    def check(self, chat: Chat | None) -> None:
        """Before a run: raises an error where it cannot judge with a model of this vocabulary, or at all."""
        ...


class Teachable(Judge, Protocol):
    """A judge whose way of judging a model can be taught."""

    def example(self, seed: EFTSeed) -> tuple[Message, ...]:
        """The chat that teaches this very judge with an EFT seed; the last message is the target."""
        ...
