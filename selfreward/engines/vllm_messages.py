"""What the vLLM engine and its child processes say to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfreward.engines.loading import ModelConfig

Key = tuple[int, int]
"""Ticket of an ask, and the place of a request in it."""


@dataclass(frozen=True, slots=True)
class Generate:
    """Continue these ids; or, with ``logprobs_of``, tell how likely each of those is to be the next one."""

    key: Key
    prompt: Sequence[int]
    max_tokens: int
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    seed: int | None = None
    json_schema: Mapping[str, Any] | None = None
    logprobs_of: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Serve:
    """Answer with this adapter or whole model, of which there is one of each number; None is the root model."""

    weights: str | None
    number: int


@dataclass(frozen=True, slots=True)
class Start:
    """The first message: load this model, to answer with these weights."""

    arguments: Mapping[str, Any]
    """Of vLLM's EngineArgs."""
    serve: Serve
    merge_adapter: bool
    model: ModelConfig
    scratch: str = ""
    """A directory for weights that have to be laid down; the parent removes it."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Move the weights out of the GPU and forget the cache, until there is work."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Loaded, or asleep."""

    max_num_seqs: int


@dataclass(frozen=True, slots=True)
class Finished:
    """One request's completions, or its log-probabilities."""

    key: Key
    rows: tuple[tuple[int, ...], ...] = ()
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """What was finished since the last time."""

    finished: list[Finished]


@dataclass(frozen=True, slots=True)
class Retire:
    """The weights cannot be taken by a running vLLM: start another process for them."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot go on. ``dead``: another start may do better; else what was asked is impossible."""

    cause: str
    dead: bool
