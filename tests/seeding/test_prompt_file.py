"""Files of prompts: JSONL, or one a line."""

from pathlib import Path

import pytest

from selfreward.errors import SeedError
from selfreward.seeding.prompt_file import read_prompts


def write(directory: Path, name: str, content: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content", ["one\ntwo, three", "\ufeffone\n\n  two, three  \n", "one\r\ntwo, three\r\n", "\n \none\ntwo, three"]
)
def test_one_a_line(tmp_path: Path, content: str) -> None:
    assert read_prompts(write(tmp_path, "p.txt", content)) == [("one", None), ("two, three", None)]


def test_rows(tmp_path: Path) -> None:
    text = '{"prompt": "a\\nb", "tag": 3}\n\n{"prompt": "c", "reference": "d"}'
    assert read_prompts(write(tmp_path, "p.jsonl", text)) == [("a\nb", None), ("c", "d")]


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    with pytest.raises(SeedError) as error:
        read_prompts(write(tmp_path, "p.jsonl", '{"promt": "a"}\n{"prompt": "b"}\n{"prompt": 3}\n'))
    first, second = str(error.value).splitlines()
    assert "p.jsonl:1: no \"prompt\"; found 'promt'" in first
    assert 'p.jsonl:3: "prompt" is int; expected text' in second


@pytest.mark.parametrize("name", ["p.txt", "p.jsonl"])
def test_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SeedError, match="No such file"):
        read_prompts(tmp_path / name)
    with pytest.raises(SeedError, match="is not UTF-8"):
        read_prompts(write(tmp_path, name, "ä".encode("latin-1")))
    with pytest.raises(SeedError, match=f"{name}: no (prompts|rows)"):
        read_prompts(write(tmp_path, name, "\n \n"))
