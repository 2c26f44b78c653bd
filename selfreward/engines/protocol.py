"""What every engine does: it is asked, and answers when it is done. It keeps a queue, so that it is never idle."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from selfreward.engines.chat import Chat
from selfreward.records import Message

T = TypeVar("T")

Capability = Literal["adapters", "prefill", "next_token", "likelihood", "reward", "json_schema"]
"""``adapters``: answers as a model that was trained; ``prefill``: continues an opened turn; ``next_token``: gives
log-probabilities of named tokens; ``likelihood``: gives those of whole turns; ``reward``: gives a finished chat a
number; ``json_schema``: holds what is written to a schema."""


@dataclass(frozen=True, slots=True)
class EngineRoom:
    """What an engine may use besides its model."""

    directory: Path
    """For its log, and for weights that it has to lay down; made when needed."""
    setting: str = "engine"
    """Where its settings stand in a recipe, for errors that name one."""
    say: Callable[[str], None] = lambda text: None
    """Tells the user what happened to it, such as a restart."""


@dataclass(frozen=True, slots=True)
class Request:
    """A chat to continue. ``prefill`` are token ids that open the assistant's turn."""

    messages: tuple[Message, ...]
    prefill: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """Write ``n`` completions. ``temperature=0`` is greedy.

    Equal seeds give equal completions where the engine can repeat itself (transformers; vLLM on GPUs in equal batches).
    """

    max_tokens: int
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    json_schema: Mapping[str, Any] | None = None
    """What the text must be an instance of; engines without that capability leave it to the words of the chat."""


@dataclass(frozen=True, slots=True)
class NextToken:
    """Give the log-probabilities of these tokens as the next one, in this order; nothing is written."""

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Give the log-probability of each token of the chats' last turns, its end included; nothing is written.

    ``weights`` are those that it is asked of, as in :meth:`Engine.use`, whatever the engine answers as otherwise.
    """

    weights: Path | None


@dataclass(frozen=True, slots=True)
class Reward:
    """Give each finished chat the number that a reward model has for it; nothing is written."""


How = Sampling | NextToken | Likelihood | Reward


@dataclass(frozen=True, slots=True)
class Ask:
    """Requests that are answered in the same way, and come back together."""

    requests: Sequence[Request]
    how: How


@dataclass(frozen=True, slots=True)
class Completion:
    """New text only: never the prompt, never the prefill."""

    text: str
    token_ids: tuple[int, ...]
    """Generated ids; empty where the engine does not tell them."""
    finish_reason: Literal["stop", "length"]
    special_tokens: bool
    """Whether a special token other than the reasoning tags is spelled in the text or stands inside the ids."""


@dataclass(frozen=True, slots=True)
class Answer:
    """To one request: what was asked for, and none of it where it does not fit the context."""

    prompt_tokens: int
    """Tokens that were read."""
    completions: tuple[Completion, ...] = ()
    logprobs: tuple[float, ...] = ()
    """Of the named tokens, or of the last turn's."""
    reward: float | None = None


class Engine(Protocol):
    """One model, ready to answer. Memory is taken when it is first asked, and again after ``pause``."""

    context: int
    """Most tokens that a prompt and its completion may have together."""

    @property
    def chat(self) -> Chat | None:
        """Tokenizer and chat template; None where only the endpoint knows them."""
        ...

    def use(self, weights: Path | None) -> None:
        """Answer as a model that was trained from now on, while nothing is under way.

        Args:
            weights: directory of an adapter over the root model or of a whole model; None is the root model alone.
        """
        ...

    def wants_more(self) -> bool:
        """Whether another ask would keep it busy rather than wait."""
        ...

    def submit(self, ask: Ask) -> int:
        """Take an ask into the queue; gives its ticket."""
        ...

    def collect(self) -> tuple[int, list[Answer]]:
        """Wait for the next ask that is finished: its ticket, and an answer to each of its requests in their order.

        Raises:
            EngineError: it cannot go on; everything collected before stands.
        """
        ...

    def pause(self) -> None:
        """Give the memory back until it is asked again; training needs it. What is under way is dropped."""
        ...

    def close(self) -> None:
        """Give everything back. It is never used after this."""
        ...


Asking: TypeAlias = Generator[Ask, list[Answer], T]
"""Work that needs an engine, written straight down: ``answers = yield Ask(…)``. ``engines/driver.py`` runs it."""
