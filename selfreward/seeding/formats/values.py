"""Values of foreign rows: texts, numbers and lists as they come out of JSON, CSV, Parquet and data sets."""

import ast
import json
import math
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from selfreward.seeding.formats.base import Reject, Row

_DIGITS = 40
"""More than any score needs; texts longer than that are not read as numbers."""
_ENTRIES = 50_000
"""Commas of a list as Python writes it; each entry takes its parser a kilobyte."""


def has(row: Row, *names: str) -> bool:
    """Whether the row has all of these columns, empty ones too."""
    return all(name in row for name in names)


def column(row: Row, names: Sequence[str]) -> str | None:
    """The first of these columns that the row has."""
    return next((name for name in names if name in row), None)


def given(value: Any) -> bool:
    """Whether there is anything: not null, and no empty text or list."""
    return value is not None and not (isinstance(value, str | list | dict) and not value)


def text(value: Any, name: str) -> str:
    """The value, if it is a text with something in it."""
    if not isinstance(value, str):
        if value is None:
            raise Reject("no_text", f"{name} is null or missing; expected text")
        raise Reject("not_text", f"{name} is {kind(value)}; expected text")
    if not value or value.isspace():
        raise Reject("no_text", f"{name} is empty; expected text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Reject(
                "not_unicode", f"{name}: character {error.start + 1} is no character (wrong encoding)"
            ) from error
    return value


def optional_text(value: Any, name: str) -> str:
    """The text, or an empty one where there is none."""
    return "" if value is None or value == "" or (isinstance(value, str) and value.isspace()) else text(value, name)


def number(value: Any, name: str, reason: str = "no_score") -> float:
    """A finite number, also one that stands as text, as in CSV."""
    if isinstance(value, str) and len(value) <= _DIGITS:
        try:
            value = float(value)
        except ValueError:
            raise Reject(reason, f"{name} is {shown(value)}; expected a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Reject(reason, f"{name} is {shown(value)}; expected a number")
    if not abs(value) <= sys.float_info.max:
        raise Reject(reason, f"{name} is not a finite number")
    return float(value)


def optional_number(value: Any, name: str, reason: str = "no_score") -> float | None:
    """A number, or None for null, an empty text and NaN, which is how tables write null."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return number(value, name, reason)


def objects(value: Any, name: str) -> list[dict[str, Any]]:
    """A list of objects; also as one object of equally long lists (Parquet, data sets), or as text (CSV)."""
    value = listed(value)
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        if len({len(v) for v in value.values()}) != 1:
            raise Reject("bad_list", f"{name} has lists of different lengths; expected one value a turn")
        value = [dict(zip(value, turn, strict=True)) for turn in zip(*value.values(), strict=True)]
    if not isinstance(value, list):
        raise Reject("bad_list", f"{name} is {kind(value)}; expected a list of objects")
    if not value:
        raise Reject("bad_list", f"{name} is an empty list")
    for i, one in enumerate(value, 1):
        if not isinstance(one, dict):
            raise Reject("bad_list", f"{name}: entry {i} is {kind(one)}; expected an object")
    return value


def plain_list(value: Any, name: str) -> list[Any]:
    """A list of anything; also as text."""
    value = listed(value)
    if not isinstance(value, list):
        raise Reject("bad_list", f"{name} is {kind(value)}; expected a list")
    return value


def listed(value: Any) -> Any:
    """A list or object that stands as text, as JSON or as Python writes it, read; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    if value.count(",") > _ENTRIES:
        return value
    try:
        with warnings.catch_warnings(action="ignore"):  # Python warns of odd backslashes, as if it were our source
            return ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def kind(value: Any) -> str:
    """What a value is, in plain words."""
    names = {str: "text", list: "a list", dict: "an object", bool: "true or false", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def shown(value: Any) -> str:
    """A short value for a message."""
    if not isinstance(value, str | float | bool) and value is not None:
        return kind(value)
    written = repr(value)
    return written if len(written) <= _DIGITS else f"{written[:_DIGITS]}…"
