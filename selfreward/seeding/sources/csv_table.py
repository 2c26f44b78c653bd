"""CSV with a header; commas, semicolons or tabs. A row's line is the one that it begins on."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from selfreward.errors import SeedError
from selfreward.seeding.formats.base import LeftOut, Numbered
from selfreward.seeding.sources.base import Found
from selfreward.seeding.sources.files import LONGEST, opened, start_of
from selfreward.seeding.sources.json_lines import lines

_BAD = re.compile("[\udc80-\udcff]")
_DELIMITERS = (",", ";", "\t")


def delimiter(path: Path) -> str:
    """What separates cells, by the header."""
    header = start_of(path).decode(errors="replace").split("\n", 1)[0]
    return max(_DELIMITERS, key=header.count)


def read_csv(path: Path, separator: str) -> Iterator[Found]:
    """Rows by column name; cells are texts.

    Raises:
        SeedError: no usable header.
    """
    csv.field_size_limit(LONGEST)
    with opened(path) as file:
        table = csv.reader(_texts(path, file), delimiter=separator, strict=True)
        header = _header(path, table)
        while True:
            line = table.line_num + 1
            try:
                cells = next(table, None)
            except csv.Error as error:
                yield LeftOut(line, "not_csv", _unclosed(error, line, table.line_num))
                continue
            if cells is None:
                return
            if cells:
                yield _row(line, header, cells)


def _texts(path: Path, file: BinaryIO) -> Iterator[str]:
    for number, line in lines(path, file):
        if isinstance(line, LeftOut):
            raise SeedError(f"{path}:{number}: {line.detail}")
        yield line.decode(errors="surrogateescape")  # so that one bad letter spoils one row only


def _header(path: Path, table: Any) -> list[str]:
    try:
        cells = next(table, None) or []
    except csv.Error as error:
        way_out = "; if its lines end in CR alone, as old spreadsheets write them, save it with LF"
        raise SeedError(f"{path}:1: the header is not CSV ({error}){way_out}") from error
    # Tables are often saved with their row numbers, in a column without a name.
    header = [name.strip() or f"column {i}" for i, name in enumerate(cells, 1)]
    if not any(name.strip() for name in cells) or len(set(header)) != len(header):
        found = ", ".join(header) or "empty"
        raise SeedError(f"{path}:1: the header is {found}; expected a name for each column, once")
    return header


def _unclosed(error: csv.Error, first: int, last: int) -> str:
    where = f"; lines {first} to {last} are lost with it" if last > first else ""
    return f"not CSV ({error}): a quote is not closed, or stands inside a cell without being doubled{where}"


def _row(line: int, header: list[str], cells: list[str]) -> Found:
    if len(cells) != len(header):
        return LeftOut(line, "wrong_columns", f"{len(cells)} cells for {len(header)} columns")
    for name, cell in zip(header, cells, strict=True):
        if not cell.isascii() and _BAD.search(cell):
            return LeftOut(line, "not_utf8", f'"{name}" is not UTF-8; save the file as UTF-8')
    return Numbered(line, dict(zip(header, cells, strict=True)))
