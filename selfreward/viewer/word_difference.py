"""Two texts word by word: which words stand in only one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_MOST_WORDS = 5_000
"""Of either side. The comparison takes time and memory with the product of both."""
_WORD = re.compile(r"\S+\s*|\s+")


class Part(NamedTuple):
    """A stretch of a text."""

    text: str
    only_here: bool


def word_difference(left: str, right: str) -> tuple[list[Part], list[Part]] | None:
    """Both texts in parts, which join to the whole text; None for texts that are too long to compare."""
    from rapidfuzz.distance import Indel

    words = _WORD.findall(left), _WORD.findall(right)
    if max(map(len, words)) > _MOST_WORDS:
        return None
    bare = [[word.strip() for word in side] for side in words]
    changed = [[False] * len(side) for side in words]
    for step in Indel.opcodes(bare[0], bare[1]):
        if step.tag != "equal":
            changed[0][step.src_start : step.src_end] = [True] * (step.src_end - step.src_start)
            changed[1][step.dest_start : step.dest_end] = [True] * (step.dest_end - step.dest_start)
    return list(_parts(words[0], changed[0])), list(_parts(words[1], changed[1]))


def _parts(words: Sequence[str], changed: Sequence[bool]) -> Iterator[Part]:
    """Neighbours of one kind together."""
    start = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or changed[end] != changed[start]:
            yield Part("".join(words[start:end]), changed[start])
            start = end
