"""JSONL, one line at a time: a bad line is named and spoils only itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from selfreward.seeding.formats.base import LeftOut, Numbered
from selfreward.seeding.rows import RowError, json_object
from selfreward.seeding.sources.base import Found
from selfreward.seeding.sources.files import LONGEST, UTF8_MARK, opened, reading


def read_json_lines(path: Path) -> Iterator[Found]:
    """Each line's object; blank lines are skipped and counted."""
    with opened(path) as file:
        for number, line in lines(path, file):
            if isinstance(line, LeftOut):
                yield line
            elif line and not line.isspace():
                yield _row(number, line)


def has_json_lines(path: Path) -> bool:
    """Whether the first line is an object by itself and more follows, whatever the file's name says."""
    with opened(path) as file:
        filled = (line for _, line in lines(path, file) if isinstance(line, LeftOut) or line.strip())
        first, second = next(filled, None), next(filled, None)
    return isinstance(first, bytes) and second is not None and isinstance(_row(1, first), Numbered)


def lines(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes | LeftOut]]:
    """Numbered lines, of which one that is too long for memory is named instead."""
    number = 0
    with reading(path, lambda: f":{number}"):
        while True:
            number += 1
            line = file.readline(LONGEST + 1)
            if not line:
                return
            if len(line) <= LONGEST:
                yield number, line.removeprefix(UTF8_MARK) if number == 1 else line
                continue
            while line and not line.endswith(b"\n"):
                line = file.readline(LONGEST)
            detail = f"the line has more than {LONGEST} bytes; expected one row a line"
            yield number, LeftOut(number, "too_long", detail)


def _row(number: int, line: bytes) -> Found:
    try:
        return Numbered(number, json_object(line.decode()))
    except UnicodeDecodeError as error:
        byte = f"byte {error.start + 1} of the line ({error.object[error.start]:#04x})"
        return LeftOut(number, "not_utf8", f"{byte} is not UTF-8; save the file as UTF-8")
    except RowError as error:
        return LeftOut(number, "not_json", str(error))
