"""Reading JSONL: every bad row is named with its file and line."""

from pathlib import Path
from typing import Any

import pytest

from selfreward.errors import SeedError
from selfreward.seeding.rows import RowError, read_rows, text_field


def read(directory: Path, content: str | bytes) -> list[Any]:
    path = directory / "rows.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(path, lambda row, line: (line, text_field(row, "a")))


@pytest.mark.parametrize(
    "content",
    [
        '{"a": "x"}\n{"a": "y"}',
        '{"a": "x"}\n{"a": "y"}\n',
        '{"a": "x"}\r\n{"a": "y"}\r\n',
        '\ufeff{"a": "x"}\n{"a": "y"}\n',
        '  {"a": "x"}  \n\t{"a": "y"}',
    ],
)
def test_rows_are_read(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == [(1, "x"), (2, "y")]


def test_blank_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    assert read(tmp_path, '\n{"a": "x"}\n \t\n\r\n{"a": "y"}\n\n') == [(2, "x"), (5, "y")]


def test_line_separators_inside_a_text_are_text(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a": "x\u2028y\u0085z"}\n{"a": "y"}') == [(1, "x\u2028y\u0085z"), (2, "y")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("nonsense", r"not JSON \(Expecting value at column 1\)"),
        ('{"a": "x"', "not JSON"),
        ('{"a": "x"} {"a": "y"}', "not JSON"),
        ('{"a": "tab\there"}', "not JSON"),
        ('["a"]', "a JSON list; expected an object"),
        ('"a"', "a JSON str; expected an object"),
        ("null", "a JSON NoneType; expected an object"),
        ("{}", 'no "a"; found nothing'),
        ('{"b": "x"}', "no \"a\"; found 'b'"),
        ('{"a": 3}', '"a" is int; expected text'),
        ('{"a": null}', '"a" is NoneType; expected text'),
        ('{"a": ["x"]}', '"a" is list; expected text'),
        ('{"a": ""}', '"a" is empty'),
        ('{"a": " \\n"}', '"a" is empty'),
        (r'{"a": "half \ud83d"}', ".* half of a surrogate pair"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' * 50_000, "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "a number of too many digits"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(SeedError, match=rf"rows\.jsonl:2: {message}"):
        read(tmp_path, f'{{"a": "x"}}\n{row}\n')


def test_a_whole_surrogate_pair_is_a_letter(tmp_path: Path) -> None:
    assert read(tmp_path, r'{"a": "\ud83d\ude42"}') == [(1, "🙂")]


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    with pytest.raises(SeedError) as error:
        read(tmp_path, '{"a": 1}\n{"a": "good"}\nnonsense\n\n{"b": 1}\n')
    lines = str(error.value).splitlines()
    assert [line.split("rows.jsonl:")[1][:2] for line in lines] == ["1:", "3:", "5:"]


def test_very_many_bad_rows_are_all_listed(tmp_path: Path) -> None:
    with pytest.raises(SeedError) as error:
        read(tmp_path, "x\n" * 250)
    lines = str(error.value).splitlines()
    assert len(lines) == 250
    assert "rows.jsonl:250:" in lines[-1]


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", " \r\n"])
def test_no_rows(tmp_path: Path, content: str) -> None:
    with pytest.raises(SeedError, match=r"rows\.jsonl: no rows; expected one JSON object a line"):
        read(tmp_path, content)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(SeedError, match=r"rows\.jsonl: byte \d+ is not UTF-8; save the file as UTF-8"):
        read(tmp_path, '{"a": "ünicode"}\n'.encode(encoding))


@pytest.mark.parametrize(("content", "kind"), [(b"\x1f\x8b\x08", "gzip-compressed"), (b"PAR1\xff", "Parquet")])
def test_other_kinds_of_files_are_named(tmp_path: Path, content: bytes, kind: str) -> None:
    with pytest.raises(SeedError, match=rf"rows\.jsonl: is {kind}; `selfreward seeds import` makes JSONL of it"):
        read(tmp_path, content)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"none\.jsonl: No such file"):
        read_rows(tmp_path / "none.jsonl", lambda row, line: row)
    with pytest.raises(SeedError, match="Is a directory"):
        read_rows(tmp_path, lambda row, line: row)


def test_other_errors_of_a_parser_are_not_hidden(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        read_rows(path, lambda row, line: line // 0)
    with pytest.raises(SeedError, match="mine"):
        read_rows(path, _refuse)


def _refuse(row: dict[str, Any], line: int) -> None:
    raise RowError("mine")
