"""Which texts have been seen, in some 30 bytes a text: 64 bits of a hash, and the line."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RECENT = 1 << 18


def short_hash(text: str) -> int:
    """64 bits of a hash. Two of ten million texts share one with a probability of 3 in a million."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class Seen:
    """Lines by hash. The latest are in a dict, all before them in sorted arrays, which take far less memory."""

    def __init__(self) -> None:
        self._recent: dict[int, int] = {}
        self._hashes: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._lines: NDArray[np.int64] = np.empty(0, np.int64)

    def first(self, text: str, line: int) -> int | None:
        """The line at which the text was seen before; None if it is new, which is then remembered."""
        key = short_hash(text)
        earlier = self._recent.get(key)
        if earlier is None:
            earlier = self._older(key)
        if earlier is None:
            self._recent[key] = line
            if len(self._recent) >= max(_RECENT, len(self._hashes) // 8):
                self._merge()
        return earlier

    def _older(self, key: int) -> int | None:
        if not len(self._hashes):
            return None
        wanted = np.uint64(key)
        place = int(np.searchsorted(self._hashes, wanted))
        return int(self._lines[place]) if place < len(self._hashes) and self._hashes[place] == wanted else None

    def _merge(self) -> None:
        hashes = np.concatenate([self._hashes, np.fromiter(self._recent.keys(), np.uint64, len(self._recent))])
        lines = np.concatenate([self._lines, np.fromiter(self._recent.values(), np.int64, len(self._recent))])
        order = np.argsort(hashes)
        self._hashes, self._lines = hashes[order], lines[order]
        self._recent.clear()
