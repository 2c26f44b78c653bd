"""A JSON file: an array of objects, read object by object; or one object that has the rows under ``data`` or so."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from selfreward.errors import SeedError
from selfreward.seeding.formats.base import LeftOut, Numbered
from selfreward.seeding.sources.base import Found
from selfreward.seeding.sources.files import LONGEST, UTF8_MARK, opened, reading

_CHUNK = 1 << 20
_WHOLE = 64 * 1024 * 1024
_SPACE = " \t\r\n"
_ROWS = ("data", "rows", "train", "examples", "items", "samples", "instances")


def read_json_array(path: Path) -> Iterator[Found]:
    """The array's objects, numbered from 1.

    Raises:
        SeedError: what is not JSON, named with the object's number; reading cannot go on behind it.
    """
    with opened(path) as file:
        scanner = _Scanner(path, file)
        scanner.expect("[")
        number = 0
        while scanner.peek() != "]":
            if number:
                scanner.expect(",")
            number += 1
            value = scanner.value(number)
            if isinstance(value, dict):
                yield Numbered(number, value)
            else:
                yield LeftOut(number, "not_json", f"a JSON {type(value).__name__}; expected an object")
        scanner.expect_end()


def read_json_document(path: Path) -> Iterator[Found]:
    """The rows of a file that is one object."""
    with opened(path) as file, reading(path):
        content = file.read(_WHOLE + 1).removeprefix(UTF8_MARK)
    if len(content) > _WHOLE:
        raise SeedError(f"{path}: one JSON object of more than {_WHOLE} bytes; write its rows as JSONL, one a line")
    try:
        document = json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise SeedError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise SeedError(f"{path}: not JSON ({error}); expected JSONL, or an array of objects") from error
    rows = next((document[name] for name in _ROWS if isinstance(document.get(name), list)), [document])
    for number, row in enumerate(rows, 1):
        if isinstance(row, dict):
            yield Numbered(number, row)
        else:
            yield LeftOut(number, "not_json", f"a JSON {type(row).__name__}; expected an object")


class _Scanner:
    """Values of a JSON text of any length, with one value and one chunk in memory."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._parse = json.JSONDecoder().raw_decode
        self._text, self._at, self._ended, self._number = "", 0, False, 0

    def peek(self) -> str:
        """The next character that is no space."""
        if not (letter := self._next()):
            raise self._error("the array does not end; the file may be cut off")
        return letter

    def expect_end(self) -> None:
        """There is nothing more; rows of a second array would be lost without a word."""
        self.expect("]")
        if letter := self._next():
            raise self._error(f"after the end of the array comes {letter!r}; expected one array, all rows in it")

    def _next(self) -> str:
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(_CHUNK):
                return ""

    def expect(self, letter: str) -> None:
        """Pass over one character."""
        if self.peek() != letter:
            raise self._error(f"expected {letter!r}, found {self.peek()!r}")
        self._at += 1

    def value(self, number: int) -> Any:
        """The next value."""
        self._number = number
        self.peek()
        wanted = _CHUNK
        while True:
            try:
                value, end = self._parse(self._text, self._at)
            except RecursionError as error:
                raise self._error("nested too deeply") from error
            except ValueError as error:
                if len(self._text) - self._at > LONGEST:
                    raise self._error(f"no whole value in {LONGEST} characters") from error
                if not self._more(wanted):
                    raise self._error(f"not JSON ({error})") from error
                wanted *= 2  # so that a long value is not parsed again for every chunk of it
                continue
            if end < len(self._text) or not self._more(_CHUNK):
                self._at = end
                return value

    def _more(self, size: int) -> bool:
        if self._ended:
            return False
        with reading(self._path, self._place):
            chunk = self._file.read(size)
        self._ended = not chunk
        try:
            self._text, self._at = self._text[self._at :] + self._decode(chunk, self._ended), 0
        except UnicodeDecodeError as error:
            raise self._error("not UTF-8 from here on; save the file as UTF-8") from error
        return not self._ended

    def _place(self) -> str:
        return f": object {self._number}" if self._number else ""

    def _error(self, what: str) -> SeedError:
        return SeedError(f"{self._path}{self._place()}: {what}; if rows are one a line, it is JSONL")
