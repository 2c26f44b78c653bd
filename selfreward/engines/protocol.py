"""What every engine does: chats in, completions or log-probabilities out, as they finish."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from selfreward.engines.chat import Chat
from selfreward.records import Message


@dataclass(frozen=True, slots=True)
class Request:
    """A chat to continue. ``prefill`` are token ids that open the assistant's turn."""

    messages: tuple[Message, ...]
    prefill: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. ``temperature=0`` is greedy. Equal seeds give equal completions on one engine and machine."""

    max_tokens: int
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """New text only: never the prompt, never the prefill."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: Literal["stop", "length"]
    special_tokens: bool
    """Whether a special token other than the reasoning tags is spelled in the text or stands inside the ids."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The ``n`` completions of one request; none where the request does not fit the context."""

    prompt_tokens: int
    completions: tuple[Completion, ...]


@dataclass(frozen=True, slots=True)
class NextToken:
    """Log-probabilities of the named tokens as the next one; none where the request does not fit the context."""

    prompt_tokens: int
    logprobs: tuple[float, ...]


class Engine(Protocol):
    """One model, ready to generate. Results come as (position of the request, result), in the order they finish."""

    chat: Chat
    context: int
    """Most tokens that a prompt and its completion may have together."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[tuple[int, Answer]]: ...

    def next_token(self, requests: Sequence[Request], token_ids: Sequence[int]) -> Iterator[tuple[int, NextToken]]: ...

    def close(self) -> None:
        """Give the memory back. An engine is never used after this."""
