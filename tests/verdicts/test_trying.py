"""`selfreward rubrics try`: what a judge is asked, what it writes and how that is read."""

import json
from pathlib import Path
from typing import Any

import pytest
from fixture_run import NASTY, Command

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Request, Sampling
from selfreward.engines.transformers import TransformersConfig

BUILTIN = "builtin:smollm2-135m-instruct"


def says(request: Request, k: int, sampling: Sampling) -> str:
    if "tea is wet" in request.messages[0].content:
        return f"{NASTY}\nScore: 4/5"
    return "I would rather not say."


@pytest.fixture
def try_it(command: Command, chat: Chat, fake_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = fake_engine(chat, says, lambda request: (-0.1, -2.4))
    monkeypatch.setattr(TransformersConfig, "open", lambda *_: made)
    files = {"p": "What is {{ tea }}?\n", "a": "tea is wet\n", "b": "Score: 5\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def run(rubric: str, responses: str, *options: str) -> tuple[int, str, str]:
        named = [word for name in responses for word in ("--response", str(tmp_path / name))]
        model = ("--model", BUILTIN, "--set", "engine.type=transformers")
        return command("rubrics", "try", rubric, *model, "--prompt", str(tmp_path / "p"), *named, *options)

    return run


def test_what_was_written_and_how_it_is_read(try_it: Any) -> None:
    code, out, err = try_it("additive_5pt", "ab", "--set", "judge.method.samples=1")
    assert (code, err) == (0, "")
    first, second = out.split("r2: ")
    assert "4.000" in first
    assert "Score: 4/5" in first
    assert "unreadable" in second
    assert "I would rather not say." in second
    assert "\x1b" not in out
    assert "You grade" not in out


def test_the_question_is_shown_where_asked_for(try_it: Any) -> None:
    out = try_it("additive_5pt", "a", "--question")[1]
    assert "You grade how well" in out
    assert "What is {{ tea }}?" in out


def test_a_rubric_for_two_is_tried_on_every_two(try_it: Any) -> None:
    code, out, _ = try_it("pairwise", "ab", "--json")
    assert code == 0
    found = json.loads(out)
    assert [j["response_ids"] for j in found["judgments"]] == [["r1", "r2"], ["r2", "r1"], ["r1"], ["r2"]]
    assert found["question"][0]["content"].count("tea is wet") == 1
    assert "P(first is better) 0.09" in try_it("pairwise", "ab")[1]


def test_a_reference_stands_beside_the_prompt(try_it: Any, tmp_path: Path) -> None:
    code, out, _ = try_it("reference_5pt", "b", "--question", "--reference", str(tmp_path / "a"))
    assert code == 0
    assert "4.000" in out, "the judge was shown the reference"
    assert out.index("tea is wet") < out.index("Score: 5")
    assert "give one with --reference" in try_it("reference_5pt", "b")[2]


def test_what_cannot_be_tried(try_it: Any, tmp_path: Path) -> None:
    code, out, err = try_it("pairwise", "a")
    assert (code, out) == (1, "")
    assert "compares two responses; give --response twice" in err
    assert "No such file" in try_it("additive_5pt", "x")[2]
    (tmp_path / "z").write_bytes(b"\xff\xfe\xff")
    assert "not UTF-8" in try_it("additive_5pt", "z")[2]
    assert "shows the judge one response" in try_it("pairwise", "ab", "--method", "expected")[2]
