"""Held-out rankings: which rows can be put to a judge."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfreward.errors import SeedError
from selfreward.seeding.held_out import read_held_out


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def own(prompt: str, response: str, rank: int | None, **more: Any) -> dict[str, Any]:
    row = {"prompt_id": prompt, "prompt": f"Why {prompt}?", "response": response, "rank": rank, "quality": None}
    return {**row, **more}


def test_own_rows_stand_together_by_prompt(tmp_path: Path) -> None:
    rows = [own("a", "x", 0), own("b", "y", 0), own("a", "z", 1), own("b", "w", 1)]
    found = read_held_out(write(tmp_path / "h.jsonl", *rows), None, 0)
    assert [(row.prompt_id, row.response) for row in found.rows] == [("a", "x"), ("a", "z"), ("b", "y"), ("b", "w")]
    assert not found.left_out


def test_other_layouts_are_recognised(tmp_path: Path) -> None:
    rows = [
        {"prompt_id": "a", "prompt_text": "Why?", "response_text": text, "quality_score": quality}
        for text, quality in (("x", 0.9), ("y", 0.1), ("y", 0.2), ("z", None))
    ]
    found = read_held_out(write(tmp_path / "h.jsonl", *rows), None, 0)
    assert [(row.prompt, row.response, row.quality) for row in found.rows] == [("Why?", "x", 0.9), ("Why?", "y", 0.1)]
    assert dict(found.left_out) == {"duplicate": 1, "no_rank": 1}


def test_eft_rows_are_rankings_by_score(tmp_path: Path) -> None:
    rows = [{"instruction": "Why?", "response": str(s), "rationale": "So.", "score": s} for s in (1, 4)]
    assert [row.quality for row in read_held_out(write(tmp_path / "h.jsonl", *rows), None, 0).rows] == [1, 4]


def test_what_cannot_be_judged_is_counted(tmp_path: Path) -> None:
    turns = [{"role": role, "content": "Hm?"} for role in ("user", "assistant", "user")]
    chat = [
        {"prompt_id": "c", "messages": turns, "response": r, "rank": i, "quality": None} for i, r in enumerate("xy")
    ]
    rows = [own("a", "x", 0), own("a", "y", 1), own("b", "x", 1), own("b", "y", 1), *chat]
    found = read_held_out(write(tmp_path / "h.jsonl", *rows), None, 0)
    assert {row.prompt_id for row in found.rows} == {"a"}
    assert dict(found.left_out) == {"no_preference": 2, "not_one_turn": 2}


def test_a_larger_limit_holds_a_smaller_and_order_moves_nothing(tmp_path: Path) -> None:
    rows = [own(f"p{i}", text, rank) for i in range(30) for rank, text in enumerate(("good", "bad"))]
    path, turned = write(tmp_path / "h.jsonl", *rows), write(tmp_path / "t.jsonl", *reversed(rows))

    def drawn(file: Path, limit: int, seed: int = 0) -> set[str]:
        return {row.prompt_id for row in read_held_out(file, limit, seed).rows}

    assert len(drawn(path, 7)) == 7
    assert drawn(path, 7) < drawn(path, 12) == drawn(turned, 12)
    assert drawn(path, 7) != drawn(path, 7, seed=1)
    assert read_held_out(path, 7, 0).left_out["over_limit"] == 46
    assert len(drawn(path, 99)) == 30


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([own("a", "x", 1), own("a", "y", 1)], r"h.jsonl: nothing to measure a judge on \(no_preference 2\); expected"),
        ([own("a", "x", 0), own("a", "", 1)], 'h.jsonl:2: "response" is empty; expected text'),
        ([{"instruction": "Why?", "response": "So."}], "h.jsonl: .*one response a prompt"),
        ([{"colour": "red"}], "h.jsonl: no format fits the first rows"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, rows: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(SeedError, match=says):
        read_held_out(write(tmp_path / "h.jsonl", *rows), None, 0)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match="nowhere: no such file; expected ranked responses"):
        read_held_out(tmp_path / "nowhere", None, 0)
    with pytest.raises(SeedError, match="is no file"):
        read_held_out(tmp_path, None, 0)
