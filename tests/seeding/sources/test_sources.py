"""Files of every kind are read or named; a bad row spoils only itself."""

import bz2
import csv
import functools
import gzip
import io
import json
import lzma
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfreward.errors import SeedError
from selfreward.seeding.formats.base import LeftOut, Numbered
from selfreward.seeding.sources import Place, files, json_array, json_lines, open_source

ROWS: list[dict[str, Any]] = [
    {"instruction": "Grüße 🙂", "output": "مرحبا بالعالم"},
    {"instruction": "a\u2028b\u0085c\nd", "output": "x" * 100_000},
    {"instruction": "", "output": "שלום \u202e"},
]
packed = functools.partial(gzip.compress, mtime=0)  # with its time in it, a test would have another name each second

JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def write(directory: Path, name: str, content: str | bytes) -> str:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def read(name: str, place: Place = Place()) -> list[Any]:  # noqa: B008
    source = open_source(name, place)
    first = list(source.read())
    assert list(source.read()) == first, "reading again gives the same"
    return first


def rows(name: str, place: Place = Place()) -> list[dict[str, Any]]:  # noqa: B008
    return [found.row for found in read(name, place) if isinstance(found, Numbered)]


def table(separator: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ROWS[0], delimiter=separator)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue()


def indented() -> str:
    return json.dumps(ROWS, indent=1)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jsonl", JSONL, "JSONL"),
        ("a.json", JSONL, "JSONL"),
        ("a", JSONL, "JSONL"),
        ("a.jsonl", "\ufeff" + JSONL, "JSONL"),
        ("a.ndjson", JSONL.replace("\n", "\r\n"), "JSONL"),
        ("a.jsonl.gz", packed(JSONL.encode()), "gzip-compressed JSONL"),
        ("a.jsonl", packed(JSONL.encode()), "gzip-compressed JSONL"),
        ("a.json", indented(), "JSON array"),
        ("a.json", "\ufeff \n" + indented(), "JSON array"),
        ("a.jsonl", json.dumps(ROWS), "JSON array"),
        ("a.json.gz", packed(indented().encode()), "gzip-compressed JSON array"),
        ("a.json", json.dumps({"version": 1, "data": ROWS}), "JSON"),
        ("a.json", json.dumps({"train": ROWS}, indent=1), "JSON"),
        ("a.csv", table(), "CSV"),
        ("a.csv", "\ufeff" + table(";"), "CSV"),
        ("a.tsv", table("\t"), "CSV"),
        ("a.CSV.gz", packed(table().encode()), "gzip-compressed CSV"),
    ],
)
def test_every_kind_of_file(tmp_path: Path, name: str, content: str | bytes, kind: str) -> None:
    path = write(tmp_path, name, content)
    assert open_source(path).kind == kind
    assert rows(path) == ROWS


def test_a_json_object_may_be_a_single_row(tmp_path: Path) -> None:
    assert rows(write(tmp_path, "a.json", json.dumps(ROWS[0], indent=1))) == ROWS[:1]
    assert rows(write(tmp_path, "b.json", json.dumps(ROWS[0]))) == ROWS[:1]


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
def test_values_are_read_across_chunks(tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "_CHUNK", chunk)
    few = [{"a": "ä🙂", "b": [1.5, {"c": None}]}, {"a": "]},{"}, {}]
    assert rows(write(tmp_path, "a.json", json.dumps(few, ensure_ascii=False))) == few


def test_lines_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '\n{"a": 1}\nnonsense\n\n["x"]\n{"a": 2}')
    assert [(found.line, type(found)) for found in read(path)] == [
        (2, Numbered),
        (3, LeftOut),
        (5, LeftOut),
        (6, Numbered),
    ]
    path = write(tmp_path, "a.csv", 'a,b\n1,"x\ny\nz"\n\n2,u\n3\n4,"v\n"\n5,w,w\n')
    assert [(found.line, type(found)) for found in read(path)] == [
        (2, Numbered),
        (6, Numbered),
        (7, LeftOut),
        (8, Numbered),
        (10, LeftOut),
    ]


def left_out(path: str) -> list[tuple[int, str]]:
    return [(found.line, found.reason) for found in read(path) if isinstance(found, LeftOut)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": "ü"}'.encode("latin-1"), "not_utf8"),
        (b'{"a": "\xff\xfe"}', "not_utf8"),
        (b'{"a": 1', "not_json"),
        (b"[1]", "not_json"),
        (b"\x00\x01", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a":' * 50_000, "not_json"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not_json"),
    ],
)
def test_a_bad_line_spoils_only_itself(tmp_path: Path, line: bytes, reason: str) -> None:
    path = write(tmp_path, "a.jsonl", b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    assert left_out(path) == [(2, reason)]
    assert rows(path) == [{"a": 1}, {"a": 2}]


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "LONGEST", 20)
    long = json.dumps({"a": "x" * 100})
    path = write(tmp_path, "a.jsonl", f'{{"a": 1}}\n{long}\n{{"a": 2}}\n{long}')
    assert left_out(path) == [(2, "too_long"), (4, "too_long")]
    assert rows(path) == [{"a": 1}, {"a": 2}]


def test_csv_in_another_encoding(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a,b\nx,ü\ny,z\n".encode("latin-1"))
    assert left_out(path) == [(2, "not_utf8")]
    assert rows(path) == [{"a": "y", "b": "z"}]


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'a,b\n1,2\n3,"4\n5,6\n7,8\n')
    (item,) = (found for found in read(path) if isinstance(found, LeftOut))
    assert (item.line, item.reason) == (3, "not_csv")
    assert "lines 3 to 5 are lost with it" in item.detail
    path = write(tmp_path, "b.csv", 'a,b\n"1"x,2\n3,4\n')
    assert (left_out(path), rows(path)) == ([(2, "not_csv")], [{"a": "3", "b": "4"}])


@pytest.mark.parametrize("header", ["", "\n", "a,a\n1,2\n", ",\n1,2\n", '"a\n'])
def test_a_header_that_names_no_columns(tmp_path: Path, header: str) -> None:
    with pytest.raises(SeedError, match=r"a\.csv:1: the header is"):
        read(write(tmp_path, "a.csv", header))


def test_row_numbers_may_stand_in_a_column_without_a_name(tmp_path: Path) -> None:
    assert rows(write(tmp_path, "a.csv", ",a,\n0,x,y\n")) == [{"column 1": "0", "a": "x", "column 3": "y"}]


def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SeedError, match="pipe: is no file that can be read twice"):
        open_source(str(tmp_path / "pipe"))


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.jsonl", JSONL)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (JSONL.encode("utf-16"), r"is UTF-16; save it as UTF-8 \(iconv -f UTF-16 -t UTF-8\)"),
        (JSONL.encode("utf-32"), "is UTF-32"),
        (packed(JSONL.encode("utf-16")), "is UTF-16"),
        (JSONL.encode("utf-16-le"), r"a null byte at its beginning, as UTF-16 has; save it as UTF-8"),
        (JSONL.encode("utf-16-be"), "a null byte at its beginning"),
        (bz2.compress(JSONL.encode()), "is bzip2-compressed; unpack it first"),
        (lzma.compress(JSONL.encode()), "is xz-compressed"),
        (b"\x28\xb5\x2f\xfd rest", "is zstd-compressed"),
        (zipped(), "is a zip archive"),
        (pickle.dumps(ROWS), "is a Python pickle, which is never opened"),
        (packed(JSONL.encode() * 20)[:-3000], "the gzip data are damaged or cut off"),
        (packed(JSONL.encode())[:5], "the gzip data are damaged or cut off"),
        (b"\x1f\x8b nonsense", "the gzip data are damaged or cut off"),
        (packed(b"PAR1", mtime=0), "is Parquet inside gzip"),
        (b"PAR1 nonsense", "cannot be read as Parquet"),
        (b"", "no such thing"),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json"])
def test_what_is_not_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = write(tmp_path, name, content)
    if not content:
        message = {"a.jsonl": "", "a.csv": "the header is empty", "a.json": "not JSON"}[name]
        if not message:
            assert read(path) == []
            return
    with pytest.raises(SeedError, match=rf"{name}.*{message}"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1}, {"a": 2}', "object 2: the array does not end; the file may be cut off"),
        ('[{"a": 1}, {"a": ', r"object 2: not JSON"),
        ('[{"a": 1} {"a": 2}]', "object 1: expected ',', found '{'"),
        ("[" * 100_000, "object 1: nested too deeply"),
        ('[{"a": 1}] [{"a": 2}]', r"object 1: after the end of the array comes '\['; expected one array"),
        ('[{"a": 1}]\n{"a": 2}', "object 1: after the end of the array comes '{'"),
        ("[] x", ".*after the end of the array comes 'x'"),
        (b'[{"a": 1}, {"a": "\xff"}]', "not UTF-8 from here on"),
        ('{"a": 1', "not JSON"),
        (b'{"a": "\xff"', "byte 7 is not UTF-8"),
    ],
)
def test_broken_json(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(SeedError, match=rf"a\.json: {message}"):
        read(write(tmp_path, "a.json", content))


def test_values_that_are_no_objects(tmp_path: Path) -> None:
    assert left_out(write(tmp_path, "a.json", '[1, {"a": 1}, null, "x", 12]')) == [
        (i, "not_json") for i in (1, 3, 4, 5)
    ]
    assert left_out(write(tmp_path, "b.json", '{"data": [1, {"a": 1}]}')) == [(1, "not_json")]


def test_what_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "LONGEST", 50)
    monkeypatch.setattr(json_array, "_CHUNK", 10)
    with pytest.raises(SeedError, match="object 2: no whole value in 50 characters"):
        read(write(tmp_path, "a.json", json.dumps([{"a": 1}, {"a": "x" * 1000}])))
    monkeypatch.setattr(json_array, "_WHOLE", 50)
    with pytest.raises(SeedError, match=r"one JSON object of more than 50 bytes; write its rows as JSONL"):
        read(write(tmp_path, "b.json", json.dumps({"data": ["x" * 1000]})))


@pytest.mark.parametrize("name", ["none.jsonl", "no/such/file", "none.csv", "some dir/x", "none.parquet"])
def test_what_is_not_there(name: str) -> None:
    with pytest.raises(SeedError, match="no such file or directory, and no id of a data set on the Hub"):
        open_source(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "the source has no name"), (" ", "the source has no name"), ("-", "rows are read twice")],
)
def test_names_that_stand_for_no_file(name: str, message: str) -> None:
    with pytest.raises(SeedError, match=message):
        open_source(name)


def test_lines_that_end_in_cr_alone(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"a\.csv:1: .*end in CR alone, .*, save it with LF"):
        read(write(tmp_path, "a.csv", table().replace("\r\n", "\r")))


def test_a_file_has_no_splits(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match="--split, --config and --revision are for data sets"):
        open_source(write(tmp_path, "a.jsonl", JSONL), Place(split="train"))


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Callable[..., Any]:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, "a.jsonl", JSONL)
    monkeypatch.setattr(files.Path, "open", refused)
    with pytest.raises(SeedError, match=r"a\.jsonl: Permission denied"):
        open_source(path)
