"""Files of ranked responses: what ``seeds import --as ranked`` writes and ``seeds build-eft`` takes."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from selfreward.records import Message, Ranked, content_id
from selfreward.seeding.rows import RowError, chat_field, finite, in_turn, read_rows, shown, text_field

_SHAPES = (
    frozenset({"prompt_id", "prompt", "response", "rank", "quality"}),
    frozenset({"prompt_id", "messages", "response", "rank", "quality"}),
)


def read_ranked(path: Path) -> list[Ranked]:
    """One row a response: ``prompt_id``, ``prompt`` (or ``messages``), ``response``, ``rank`` and ``quality``.

    Rows of one prompt need not stand together; they are joined by ``prompt_id``.

    Raises:
        SeedError: with every bad row.
    """
    return read_rows(path, _parser())


def has_own_shape(row: dict[str, Any]) -> bool:
    """Whether a row has the fields that :func:`read_ranked` takes."""
    return frozenset(row) in _SHAPES


def ranked_of(rows: Iterable[dict[str, Any]]) -> list[Ranked]:
    """Rows of that shape that a converter made; each counts as the line of its place.

    Raises:
        RowError: of the first bad one.
    """
    parse = _parser()
    return [parse(row, line) for line, row in enumerate(rows, 1)]


def by_prompt(rows: list[Ranked]) -> dict[str, list[Ranked]]:
    """The responses of each prompt, both in the file's order."""
    groups: dict[str, list[Ranked]] = {}
    for row in rows:
        groups.setdefault(row.prompt_id, []).append(row)
    return groups


def _parser() -> Callable[[dict[str, Any], int], Ranked]:
    prompts: dict[str, tuple[Message, ...]] = {}

    def parse(row: dict[str, Any], line: int) -> Ranked:
        ranked = _ranked(row, line)
        if prompts.setdefault(ranked.prompt_id, ranked.messages) != ranked.messages:
            raise RowError(f'"prompt_id" {ranked.prompt_id!r} has another prompt further up; expected one prompt an id')
        return ranked

    return parse


def _ranked(row: dict[str, Any], line: int) -> Ranked:
    if frozenset(row) not in _SHAPES:
        found = ", ".join(sorted(row)) or "nothing"
        raise RowError(
            f'found the fields {found}; expected prompt_id, prompt (or "messages"), response, rank, quality, as '
            "`selfreward seeds import --as ranked` writes them"
        )
    prompt_id, response = text_field(row, "prompt_id"), text_field(row, "response").strip()
    rank, quality = _rank(row["rank"]), _quality(row["quality"])
    if rank is None and quality is None:
        raise RowError('"rank" and "quality" are both null; expected a number in one of them')
    messages = _messages(row)
    return Ranked(
        id=content_id("ranked", line, prompt_id, response),
        prompt_id=prompt_id,
        messages=messages,
        response=response,
        rank=rank,
        quality=quality,
        line=line,
    )


def _messages(row: dict[str, Any]) -> tuple[Message, ...]:
    if "messages" not in row:
        return (Message(role="user", content=text_field(row, "prompt")),)
    messages = chat_field(row["messages"])
    roles = [m.role for m in messages]
    if not in_turn(roles) or roles[-1] != "user":
        raise RowError(
            f'the roles of "messages" are {", ".join(roles)}; expected an optional system turn, then '
            "user and assistant in turn, the user last"
        )
    return messages


def _rank(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RowError(f'"rank" is {shown(value)}; expected a whole number, 0 for the best, or null')
    return value


def _quality(value: Any) -> float | None:
    return None if value is None else finite(value, '"quality"')
