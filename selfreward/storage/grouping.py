"""Joining streams of records by id without holding them in memory."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from selfreward.errors import StoreError
from selfreward.records import Judgment, Response
from selfreward.storage.iteration import Stored

T = TypeVar("T")
OfPrompt = TypeVar("OfPrompt", Response, Judgment)


class Grouped(Generic[T]):
    """Records that stand together by a key, taken group by group in the order of the keys asked for."""

    def __init__(self, records: Iterable[T], key: Callable[[T], str]) -> None:
        self._records: Iterator[T] = iter(records)
        self._key = key
        self._next = next(self._records, None)

    def take(self, key: str) -> list[T]:
        """The records of one key, none if the next record belongs to another."""
        group: list[T] = []
        while self._next is not None and self._key(self._next) == key:
            group.append(self._next)
            self._next = next(self._records, None)
        return group

    def close(self) -> None:
        """Raises StoreError where a record was left over: its parent is missing or stands elsewhere."""
        if self._next is not None:
            raise StoreError(f"no parent with id {self._key(self._next)} for a stored record; run `selfreward verify`")


def by_prompt(stored: Stored[OfPrompt] | None) -> Grouped[OfPrompt]:
    """A stage's records by their prompts; none where there is no such stage."""
    return Grouped(stored.records() if stored is not None else (), lambda record: record.prompt_id)
