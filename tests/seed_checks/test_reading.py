"""IFT or EFT, by the fields."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfreward.resources import find
from selfreward.seed_checks.reading import recognise


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([{"instruction": "a", "response": "b"}], "ift"),
        ([{"messages": []}], "ift"),
        ([{"instruction": "a", "response": "b", "score": 1, "rationale": "c"}], "eft"),
        ([{"instruction": "a", "score": 1}], "eft"),
        ([{"score": 1}, {"response": 1}, {"response": 1}], "ift"),
        ([], "ift"),
        ([["score"]], "ift"),
    ],
)
def test_by_fields(tmp_path: Path, rows: list[Any], kind: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("not JSON\n\n" + "".join(f"{json.dumps(row)}\n" for row in rows))
    assert recognise(path) == kind


def test_this_projects_own() -> None:
    assert recognise(find("seeds", "ift.jsonl")) == "ift"
    assert recognise(find("seeds", "eft.jsonl")) == "eft"


def test_what_cannot_be_read_is_left_to_the_readers(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\x00\n{")
    assert recognise(tmp_path / "bytes") == "ift"
    assert recognise(tmp_path / "none") == "ift"
