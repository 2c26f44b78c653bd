"""Which of a prompt's rows is the best, in 33 bytes a row: hashes and numbers, no texts."""

from array import array
from typing import NamedTuple

import numpy as np


class Group(NamedTuple):
    words: int
    """Hash of the prompt's words, by the first row of its id."""
    rows: int
    """How many rows have this id and these words."""
    best: int
    """Line of the best of them; the first of equals."""


class Groups:
    """Rows are added in the order of their lines; then prompts can be looked up."""

    def __init__(self) -> None:
        self._keys, self._words, self._lines = array("Q"), array("Q"), array("q")
        self._goodness, self._first_class = array("d"), array("b")
        self._found: tuple[np.ndarray, ...] = ()

    def add(self, key: int, words: int, goodness: tuple[bool, float], line: int) -> None:
        """A row of the prompt ``key``; a higher goodness is better, and those with True come before all others."""
        self._keys.append(key)
        self._words.append(words)
        self._lines.append(line)
        self._first_class.append(goodness[0])
        self._goodness.append(goodness[1])

    def close(self) -> None:
        """Sort; after this, ``get`` may be called."""
        if not self._keys:
            return
        keys = np.frombuffer(self._keys, np.uint64)
        in_groups = np.argsort(keys, kind="stable")
        keys = keys[in_groups]
        words = np.frombuffer(self._words, np.uint64)[in_groups]
        begins = np.concatenate([[True], keys[1:] != keys[:-1]])
        starts = np.flatnonzero(begins)
        group = np.cumsum(begins) - 1
        alike = np.flatnonzero(words == words[starts][group])
        group, rows = group[alike], in_groups[alike]
        goodness = np.frombuffer(self._goodness, np.float64)[rows]
        first_class = np.frombuffer(self._first_class, np.int8)[rows]
        order = np.lexsort((rows, -goodness, -first_class, group))
        group, rows = group[order], rows[order]
        best = rows[np.concatenate([[True], group[1:] != group[:-1]])]
        lines = np.frombuffer(self._lines, np.int64)[best]
        self._found = (keys[starts], words[starts], np.bincount(group), lines)

    def get(self, key: int) -> Group | None:
        """What is known of a prompt."""
        if not self._found:
            return None
        keys, words, counts, lines = self._found
        place = int(np.searchsorted(keys, np.uint64(key)))
        if place == len(keys) or keys[place] != np.uint64(key):
            return None
        return Group(int(words[place]), int(counts[place]), int(lines[place]))
