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


@dataclass(frozen=True, slots=True)
class Listener:
    """The model that is to judge, as far as a question to it depends on it."""

    chat: Chat | None
    """None where only an endpoint knows how its tokens are made."""
    context: int
    """Most tokens of question and verdict together."""


class Judge(Protocol):
    """A rubric and a way to ask for its verdict."""

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
