"""A judge that repeats the response: what it repeats is not its verdict."""

from collections.abc import Iterable
from itertools import pairwise

_OWN_WORDS = 24
"""Letters from which on a line is no verdict that two may write alike: ``Score: 5`` may be the judge's own."""


def without_echo(reply: str, texts: Iterable[str]) -> str:
    """The reply without what it repeats of the texts that the judge was shown.

    Taken out are whole texts, long lines, and short lines that stand one after the other in a text as well. One short
    line that both have may be the judge's own verdict and stays.
    """
    for text in texts:
        if len(text.strip()) >= _OWN_WORDS:
            reply = reply.replace(text.strip(), "\n")
        lines = _lines(text)
        long = {line for line in lines if len(line) >= _OWN_WORDS}
        following = set(pairwise(lines))
        own = [line for line in reply.splitlines(keepends=True) if line.strip()]
        folded = [_folded(line) for line in own]
        repeated = {i for i, line in enumerate(folded) if line in long}
        for i, two in enumerate(pairwise(folded)):
            if two in following:
                repeated |= {i, i + 1}
        if repeated:
            reply = "".join(line for i, line in enumerate(own) if i not in repeated)
    return reply


def _lines(text: str) -> list[str]:
    return [_folded(line) for line in text.splitlines() if line.strip()]


def _folded(line: str) -> str:
    return " ".join(line.split()).casefold()
