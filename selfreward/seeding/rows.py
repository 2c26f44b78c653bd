"""Reading JSONL so that every bad row is named: file, line, what is wrong, what was expected."""

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from selfreward.errors import SeedError
from selfreward.records import Message

T = TypeVar("T")
_SHOWN = 60
_OTHER_KINDS = {b"\x1f\x8b": "gzip-compressed", b"PAR1": "Parquet"}


class RowError(ValueError):
    """What is wrong with one row."""


def read_rows(path: Path, parse: Callable[[dict[str, Any], int], T], set_aside: list[str] | None = None) -> list[T]:
    """Each row through ``parse(row, line)``; blank lines are skipped.

    Args:
        set_aside: what is wrong with bad rows is added here, and the good ones are given.

    Raises:
        SeedError: the file cannot be read, or rows are bad and not to be set aside; all of them are listed.
    """
    rows: list[T] = []
    bad: list[str] = []
    for line, text in enumerate(_lines(path), 1):
        if not text.strip():
            continue
        try:
            rows.append(parse(json_object(text), line))
        except RowError as error:
            bad.append(f"{path}:{line}: {error}")
    if set_aside is not None:
        set_aside += bad
    elif bad:
        raise SeedError("\n".join(bad))
    if not rows and not bad:
        raise SeedError(f"{path}: no rows; expected one JSON object a line")
    return rows


def text_field(row: dict[str, Any], name: str) -> str:
    """A non-empty string of the row."""
    if name not in row:
        raise RowError(f'no "{name}"; found {", ".join(map(repr, row)) or "nothing"}')
    return checked_text(row[name], f'"{name}"')


def checked_text(value: Any, name: str) -> str:
    """The value, if it is a non-empty string that can be written as UTF-8."""
    if not isinstance(value, str):
        raise RowError(f"{name} is {type(value).__name__}; expected text")
    if not value.strip():
        raise RowError(f"{name} is empty; expected text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RowError(f"{name} holds half of a surrogate pair, which is no character; expected text") from error
    return value


def chat_field(value: Any) -> tuple[Message, ...]:
    """The turns of a row's ``messages``, each with text."""
    if not isinstance(value, list) or not value:
        raise RowError('"messages" is not a list of turns; expected objects with "role" and "content"')
    try:
        messages = tuple(Message.model_validate(turn) for turn in value)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise RowError(f'a turn of "messages": {place or "turn"}: {wrong["msg"]}') from error
    for message in messages:
        checked_text(message.content, 'a turn of "messages"')
    return messages


def finite(value: Any, name: str) -> float:
    """The value, if it is a number that can be compared."""
    if not isinstance(value, bool) and isinstance(value, int | float):
        number = float(value) if abs(value) <= sys.float_info.max else math.inf
        if math.isfinite(number):
            return number
    raise RowError(f"{name} is {shown(value)}; expected a number")


def shown(value: Any) -> str:
    """A value for a message, however long it is."""
    try:
        written = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return f"a number of {value.bit_length():,} bits"
    return written if len(written) <= _SHOWN else f"{written[:_SHOWN]}…"


def in_turn(roles: Sequence[str]) -> bool:
    """Whether a conversation is a system turn if any, then user and assistant in turn, the user first."""
    turns = roles[1:] if roles[:1] == ["system"] else roles
    return bool(turns) and all(role == ("user", "assistant")[i % 2] for i, role in enumerate(turns))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise SeedError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        for mark, kind in _OTHER_KINDS.items():
            if error.object.startswith(mark):
                raise SeedError(f"{path}: is {kind}; `selfreward seeds import` makes JSONL of it") from error
        raise SeedError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def json_object(text: str) -> dict[str, Any]:
    """The object that a line holds."""
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise RowError(f"not JSON ({error.msg} at column {error.colno}); expected one object a line") from error
    except ValueError as error:
        raise RowError("a number of too many digits; expected one object a line") from error
    except RecursionError as error:
        raise RowError("nested too deeply; expected a flat JSON object") from error
    if not isinstance(row, dict):
        raise RowError(f"a JSON {type(row).__name__}; expected an object")
    return row
