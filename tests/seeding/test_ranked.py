"""Files of ranked responses: one shape, one row a response."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfreward.errors import SeedError
from selfreward.seeding.ranked import by_prompt, read_ranked

ROW = {"prompt_id": "a", "prompt": "Why?", "response": "So.", "rank": 0, "quality": None}


def write(directory: Path, *rows: Any) -> Path:
    path = directory / "ranked.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in rows), encoding="utf-8")
    return path


def test_rows(tmp_path: Path) -> None:
    talk = [{"role": r, "content": c} for r, c in (("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "v"))]
    longer = {"prompt_id": "b", "messages": talk, "response": "B", "rank": None, "quality": 0.25}
    rows = read_ranked(write(tmp_path, ROW, longer, {**ROW, "rank": 1, "quality": 1}))
    assert [(r.prompt_id, r.prompt, r.response, r.rank, r.quality, r.line) for r in rows] == [
        ("a", "Why?", "So.", 0, None, 1),
        ("b", None, "B", None, 0.25, 2),
        ("a", "Why?", "So.", 1, 1.0, 3),
    ]
    assert [m.content for m in rows[1].messages] == ["s", "u", "a", "v"]
    assert len({r.id for r in rows}) == 3
    assert {k: [r.line for r in group] for k, group in by_prompt(rows).items()} == {"a": [1, 3], "b": [2]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "found the fields extra, prompt, prompt_id, quality, rank, response; expected prompt_id"),
        ({"prompt_id": ""}, '"prompt_id" is empty'),
        ({"prompt_id": 3}, '"prompt_id" is int'),
        ({"response": " "}, '"response" is empty'),
        ({"rank": None}, '"rank" and "quality" are both null'),
        ({"rank": -1}, '"rank" is -1; expected a whole number'),
        ({"rank": 0.5}, '"rank" is 0.5'),
        ({"rank": True}, '"rank" is True'),
        ({"quality": "1"}, "\"quality\" is '1'; expected a number"),
        ({"quality": float("nan")}, '"quality" is nan'),
        ({"quality": 10**400}, '"quality" is 1000'),
        ({"quality": False}, '"quality" is False'),
        ({"prompt": "How?"}, "\"prompt_id\" 'a' has another prompt further up"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(SeedError, match=rf"ranked\.jsonl:2: .*{message}"):
        read_ranked(write(tmp_path, ROW, {**ROW, **change}))


def test_a_conversation_ends_with_the_user(tmp_path: Path) -> None:
    row = {**{k: v for k, v in ROW.items() if k != "prompt"}, "messages": [{"role": "assistant", "content": "x"}]}
    with pytest.raises(SeedError, match=r'the roles of "messages" are assistant; .*the user last'):
        read_ranked(write(tmp_path, row))
