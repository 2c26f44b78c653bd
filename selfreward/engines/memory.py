"""Batches that fit the memory, and what to say where one does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from selfreward.errors import EngineError

if TYPE_CHECKING:
    import torch


@contextmanager
def memory_for(setting: str, ids: torch.Tensor, new_tokens: int = 0) -> Iterator[None]:
    """Turns an out-of-memory into an error that names the setting to lower."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        rows, length = ids.shape
        raise EngineError(
            f"out of memory with {rows} sequences of up to {length + new_tokens} tokens; run the same command again "
            f"with --set {setting}={max(1, rows // 2)} (finished work is kept)"
        ) from error


def even_batches(indices: Sequence[int], encoded: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Batches of similar lengths, the longest first, so that too large a batch fails at once."""
    by_length = sorted(indices, key=lambda i: len(encoded[i]), reverse=True)
    for start in range(0, len(by_length), size):
        yield by_length[start : start + size]
