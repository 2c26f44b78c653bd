"""How many examples an optimiser step has, and how many of them a process takes at once."""

from __future__ import annotations

import os
from statistics import fmean
from typing import TYPE_CHECKING, Protocol

from selfreward.objectives.rows import tokens_of

if TYPE_CHECKING:
    from datasets import Dataset

    from selfreward.engines.chat import Chat

_MEASURED = 1000
"""Rows of which the mean length is taken, spread over all of them."""


class Batches(Protocol):
    """The settings that say it; see :class:`~selfreward.objectives.optimiser.OptimiserConfig`."""

    @property
    def batch_size(self) -> int: ...
    @property
    def batch_tokens(self) -> int | None: ...
    @property
    def micro_batch_size(self) -> int | str: ...
    @property
    def least_at_once(self) -> int: ...
    @property
    def packed_length(self) -> int | None: ...


def processes_here() -> int:
    """How many processes train together, as their launcher tells each of them."""
    return int(os.environ["WORLD_SIZE"]) if "LOCAL_RANK" in os.environ else 1


def micro_batches(config: Batches, processes: int) -> tuple[int, int]:
    """Rows that a process takes at once, and how often it does so in a step.

    Raises:
        ValueError: ``batch_size`` does not come out; the text begins with the setting to change.
    """
    share, rest = divmod(config.batch_size, processes)
    if rest:
        raise ValueError(
            f"batch_size={config.batch_size} cannot be shared by {processes} processes; make it a multiple of them"
        )
    micro = min(config.micro_batch_size, share) if isinstance(config.micro_batch_size, int) else share
    if share % micro:
        shared = f", which {processes} processes share" if processes > 1 else ""
        raise ValueError(f"micro_batch_size={micro} does not divide batch_size={config.batch_size}{shared}")
    if micro < config.least_at_once:
        raise ValueError(
            f"batch_size={config.batch_size} leaves each of {processes} processes {micro} at once, and the loss needs "
            f"{config.least_at_once}; raise it"
        )
    return micro, share // micro


def batch_of_tokens(config: Batches, data: Dataset, chat: Chat, processes: int) -> int:
    """``batch_size`` as ``batch_tokens`` says it, for these rows; as it stands where that is not set."""
    if config.batch_tokens is None or config.packed_length:
        return examples_in(config, 0.0, processes)
    step = -(-len(data) // _MEASURED)
    lengths = [tokens_of(row, chat) for row in data.select(range(0, len(data), step))]
    return examples_in(config, fmean(lengths), processes)


def examples_in(config: Batches, length: float, processes: int) -> int:
    """``batch_size``, where an example has so many tokens on average. Packed rows are full."""
    if config.batch_tokens is None:
        return config.batch_size
    share = max(config.least_at_once, int(config.batch_tokens / (config.packed_length or max(1.0, length)) / processes))
    return (1 << (share.bit_length() - 1)) * processes
