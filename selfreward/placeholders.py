"""``{{ name }}`` in the words sent to models: found, checked, and filled in by plain replacement, never by code."""

import re
from collections.abc import Callable, Iterable, Mapping, Set

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def placeholders(words: str) -> set[str]:
    """The names that the words hold."""
    return set(_PLACEHOLDER.findall(words))


def before(words: str, name: str) -> str:
    """What stands before a placeholder; all of the words where it is not among them."""
    place = next((found.start() for found in _PLACEHOLDER.finditer(words) if found[1] == name), len(words))
    return words[:place]


def fill(words: str, values: Mapping[str, str], safe: Callable[[str], str] = str) -> str:
    """The words with each placeholder replaced, in one pass: placeholders inside values stay text."""
    return _PLACEHOLDER.sub(lambda found: safe(values[found[1]]), words)


def check(found: Set[str], where: str, needed: Set[str], possible: Set[str] = frozenset()) -> None:
    """Raises ValueError, for pydantic to report, where there are other names than these."""
    if not needed <= found <= needed | possible:
        raise ValueError(f"`{where}` has {listed(found)}; expected {listed(needed)}, possible {listed(possible)}")


def listed(names: Iterable[str]) -> str:
    """Names in order, for a message."""
    return ", ".join(sorted(set(names))) or "nothing"
