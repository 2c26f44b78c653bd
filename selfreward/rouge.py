"""ROUGE-L above a limit against many texts: exactly, without comparing a new text with all of them.

Two texts whose F1 is above the limit share so many words that the rarest of one and the rarest of the other have some
in common (prefix filtering: Chaudhuri et al. 2006; Xiao et al. 2008). An index of those names the candidates, and
rapidfuzz computes ROUGE-L for them alone.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from rapidfuzz import process
from rapidfuzz.distance import Indel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CODE_POINTS = 0x110000
"""Words that a string with one character a word can tell apart."""
_MORE_MARKS = 2
"""More rare words of each text than are needed: longer lists to count, far fewer candidates to compare."""
_SORTED_WHERE_FEWER = 16
"""Going through a table of all texts takes about as long as sorting a list with one of so many of them."""


class RougeIndex:
    """Known texts, numbered from 0 in the order of adding, each a sequence of words.

    ``frequent`` are texts that show which words are frequent, where there are no known texts to show it.
    """

    def __init__(
        self, limit: float, known: Sequence[Sequence[str]] = (), frequent: Sequence[Sequence[str]] = ()
    ) -> None:
        self._limit = limit
        # Rare words get high numbers. Any numbers are right; with these ones there are fewer candidates.
        frequent_first = Counter(word for words in frequent or known for word in words).most_common()
        self._numbers = {word: number for number, (word, _) in enumerate(frequent_first)}
        self._texts: list[str | list[int]] = []
        self._lengths = array("I")
        self._unmarked = array("I")
        self._holders: dict[int, array[int]] = {}
        for words in known:
            self.add(words)

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, words: Iterable[str]) -> None:
        """Make a text known."""
        numbers = self._numbered(words)
        marks = self._marks(numbers)
        for mark in marks:
            self._holders.setdefault(mark, array("I")).append(len(self._texts))
        self._texts.append(_packed(numbers))
        self._lengths.append(len(numbers))
        self._unmarked.append(len(numbers) - len(marks))

    def above(self, words: Iterable[str]) -> list[int]:
        """The known texts whose ROUGE-L F1 with this one is above the limit, in order.

        F1 is 2 * LCS / (words + words), which is rapidfuzz's normalised Indel similarity of the two.
        """
        import numpy as np

        numbers = self._numbered(words)
        near = self._candidates(numbers)
        if not len(near):
            return []
        scores = process.cdist(
            [_packed(numbers)],
            [self._texts[i] for i in near.tolist()],
            scorer=Indel.normalized_similarity,
            score_cutoff=max(0.0, self._limit - 1e-6),  # what is below it comes as 0
            dtype=np.float32,
        )[0]
        total = len(numbers) + np.frombuffer(self._lengths, dtype=np.uint32)[near].astype(np.int64)
        # Back to the whole number of common words: a similarity equal to the limit is not above it.
        common = np.rint(scores * total / 2)
        found: list[int] = near[2 * common / total > self._limit].tolist()
        return found

    def _candidates(self, numbers: Sequence[int]) -> "NDArray[np.intp]":
        """Texts that may be above the limit: no other one is.

        Of two texts, take the one whose marks end at the rarer word. Words that both have and that are rarer than this
        are marks of both; all others are among its unmarked words. So with the marks in common, there are at most so
        many words in common as this plus the unmarked words of either.
        """
        import numpy as np

        marks = self._marks(numbers)
        held = [self._holders[mark] for mark in marks if mark in self._holders]
        if not held:
            return np.empty(0, dtype=np.intp)
        holders = np.concatenate([np.frombuffer(texts, dtype=np.uint32) for texts in held])
        near, shared = _counted(holders, len(self._texts))
        lengths = np.frombuffer(self._lengths, dtype=np.uint32)[near].astype(np.int64)
        unmarked = np.maximum(np.frombuffer(self._unmarked, dtype=np.uint32)[near], len(numbers) - len(marks))
        most = np.minimum(shared + unmarked, np.minimum(lengths, len(numbers)))
        possible: NDArray[np.intp] = near[2 * most / (lengths + len(numbers)) > self._limit]
        return possible

    def _marks(self, numbers: Sequence[int]) -> list[int]:
        """The rarest words of a text: at least so many that a text above the limit has one of them among its own.

        A word's second occurrence is another mark than its first, so that common marks count common words.
        """
        seen: dict[int, int] = {}
        marks = []
        for number in numbers:
            times = seen.get(number, 0)
            seen[number] = times + 1
            marks.append(number << 32 | times)
        marks.sort(reverse=True)
        return marks[: len(marks) - _least_common(len(marks), self._limit) + 1 + _MORE_MARKS]

    def _numbered(self, words: Iterable[str]) -> list[int]:
        numbers = self._numbers
        return [numbers.setdefault(word, len(numbers)) for word in words]


def _counted(numbers: "NDArray[np.uint32]", below: int) -> "tuple[NDArray[np.intp], NDArray[np.intp]]":
    """The different numbers, in order, and how often each occurs. A few are sorted; many are counted in a table."""
    import numpy as np

    if len(numbers) * _SORTED_WHERE_FEWER < below:
        few, counts = np.unique(numbers, return_counts=True)
        return few.astype(np.intp), counts
    table = np.bincount(numbers)
    many = np.nonzero(table)[0]
    return many, table[many]


@cache
def _least_common(words: int, limit: float) -> int:
    """So many common words at least has a text of this length with any text above the limit (words + 1: none has)."""
    low, high = 1, words + 1
    while low < high:
        common = (low + high) // 2
        if 2 * common / (words + common) > limit:  # the other text has nothing but them
            high = common
        else:
            low = common + 1
    return low


def _packed(numbers: list[int]) -> str | list[int]:
    """What rapidfuzz compares fastest: one character a word; it takes characters and their numbers for the same."""
    return "".join(map(chr, numbers)) if max(numbers, default=0) < _CODE_POINTS else numbers


def rouge_l(one: Sequence[int], other: Sequence[int]) -> float:
    """ROUGE-L F1 of two texts as numbers, such as token ids; 1 of two empty ones."""
    return float(Indel.normalized_similarity(one, other))
