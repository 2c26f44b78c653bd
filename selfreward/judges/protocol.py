"""What every judge method does: candidates in, judgments out, and the words that an EFT example teaches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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


class Reader(Protocol):
    """A rubric and a way to ask for its verdict, on one response or on two of them."""

    needs: frozenset[Capability]

    def judge(self, candidates: Sequence[Shown], listener: Listener, model: str, seed: int) -> Asking[list[Judgment]]:
        """Equally many judgments of each, in order; of two responses, from 0 to 1 how surely the first is better."""
        ...

    def check(self, chat: Chat) -> None:
        """As :class:`Judge` does."""
        ...


class Judge(Protocol):
    """A judge method with its rubric."""

    needs: frozenset[Capability]
    """What its engine must be capable of."""

    def judge(
        self, candidates: Sequence[Candidate], listener: Listener, model: str, seed: int
    ) -> Asking[list[Judgment]]:
        """All judgments of the candidates, in the candidates' order. ``model`` names the judge in the records."""
        ...

    def check(self, chat: Chat) -> None:
        """Raises EngineError where this model's vocabulary cannot give the rubric's verdicts in this way."""
        ...

    def example(self, seed: EFTSeed) -> tuple[Message, ...]:
        """The chat that teaches this very judge with an EFT seed; the last message is the target."""
        ...
