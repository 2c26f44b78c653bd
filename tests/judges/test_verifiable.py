"""Functions as judges: what they give, and that no function can take a run with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from selfreward.errors import ConfigError, SeedError
from selfreward.judges import JudgeConfig, build_judge, ifeval
from selfreward.judges.checking import Checker, fingerprint, source_of
from selfreward.judges.protocol import Candidate, Listener
from selfreward.records import Judgment
from selfreward.seeding.prompt_file import read_prompts

CHECKS = """
import os, time
import numpy as np
from beside import FACTOR

def check(prompt, response, reference):
    print("a function may print")
    if response == "crash": os._exit(3)
    if response == "hang": time.sleep(600)
    if response == "raise": raise KeyError("no such thing")
    if response == "none": return None
    if response == "text": return "very good"
    if response == "nan": return float("nan")
    if response == "half a letter": raise ValueError("\\udc80")
    if response == "numpy": return np.isclose(1.0, 1.0)
    if response == "single": return np.float32(0.5)
    if response == "array": return np.zeros(2)
    if response == "pid": return os.getpid()
    if reference is not None: return response == reference
    return FACTOR * len(response)

def too_few(prompt): return 1
"""


@pytest.fixture
def checks(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("FACTOR = 0.5\n")
    path = tmp_path / "checks.py"
    path.write_text(CHECKS)
    return path


def judge(function: str, *responses: str, reference: str | None = None, **method: Any) -> list[Judgment]:
    config = JudgeConfig.model_validate({"method": {"type": "verifiable", "function": function, **method}})
    candidates = [Candidate("p", f"r{i}", "Why?", text, reference) for i, text in enumerate(responses)]
    piece = build_judge(config, ("<think>", "</think>")).judge(candidates, Listener(None, 100), "checks", 0)
    with pytest.raises(StopIteration) as done:
        next(piece)
    found: list[Judgment] = done.value.value
    return found


def test_numbers_and_truths_are_scores(checks: Path) -> None:
    found = judge(f"{checks}:check", "four", "")
    assert [j.score for j in found] == [2.0, 0.0]
    assert [j.score for j in judge(f"{checks}:check", "yes", "no", reference="yes")] == [1.0, 0.0]
    assert {(j.method, j.rubric, j.model, j.raw, j.prompt_tokens) for j in found} == {
        ("verifiable", "", "checks", "", 0)
    }


def test_numpys_numbers_are_numbers(checks: Path) -> None:
    found = judge(f"{checks}:check", "numpy", "single", "array")
    assert [j.score for j in found] == [1.0, 0.5, None]
    assert "ValueError: " in found[2].raw


def test_whatever_goes_wrong_is_one_unreadable_verdict(checks: Path) -> None:
    responses = ("four", "raise", "none", "text", "nan", "crash", "four")
    found = judge(f"{checks}:check", *responses)
    assert [j.score for j in found] == [2.0, None, None, None, None, None, 2.0]
    raised, none, text, nan, crash = (j.raw for j in found[1:6])
    assert "KeyError: 'no such thing'" in raised
    assert none == "the function could not tell"
    assert "'very good'; expected a number" in text
    assert "'nan'; expected a number" in nan
    assert "ended with status 3" in crash


def test_what_it_raises_can_be_stored(checks: Path) -> None:
    (found,) = judge(f"{checks}:check", "half a letter")
    assert found.raw == "ValueError: \\udc80"
    found.raw.encode()


@pytest.mark.parametrize("timeout", [0, float("inf"), 1e9])
def test_a_call_takes_a_day_at_most(timeout: float) -> None:
    with pytest.raises(ValidationError):
        JudgeConfig.model_validate({"method": {"type": "verifiable", "function": "checks.py:f", "timeout": timeout}})


def test_a_call_that_hangs_is_ended(checks: Path) -> None:
    found = judge(f"{checks}:check", "hang", "four", timeout=1.0)
    assert [j.score for j in found] == [None, 2.0]
    assert found[0].raw == "the call took longer than 1 s"


def test_one_process_serves_all_calls(checks: Path) -> None:
    first, second = judge(f"{checks}:check", "pid", "pid")
    assert first.score == second.score


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("checks.py:none", "AttributeError: module 'checks' has no attribute 'none'"),
        ("checks.py:too_few", "TypeError: "),
        ("broken.py:f", "ZeroDivisionError: "),
        ("ends.py:f", "importing it ended the process: its process ended with status 4"),
        ("not.a.module:f", "ModuleNotFoundError: No module named 'not'"),
        ("nothing", "ValueError: Empty module name"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused(
    checks: Path, monkeypatch: pytest.MonkeyPatch, function: str, reason: str
) -> None:
    monkeypatch.chdir(checks.parent)
    Path("broken.py").write_text("1 / 0\n")
    Path("ends.py").write_text("import os; os._exit(4)\n")
    config = JudgeConfig.model_validate({"method": {"type": "verifiable", "function": function}})
    with pytest.raises(ConfigError, match=r"expected FILE\.py:NAME or PACKAGE\.MODULE:NAME") as refused:
        build_judge(config, ("", "")).check(None)
    assert f"judge.method.function={function}: {reason}" in str(refused.value)


def test_a_module_of_the_directory_is_found(checks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checks.parent)
    assert [j.score for j in judge("checks:check", "four")] == [2.0]
    assert source_of("checks:check") == checks


def test_the_fingerprint_is_that_of_the_file(checks: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.write_text(checks.read_text())
    assert fingerprint(f"{checks}:check") == fingerprint(f"{copy}:too_few")
    copy.write_text(checks.read_text() + "# other\n")
    assert fingerprint(f"{checks}:check") != fingerprint(f"{copy}:check")
    assert source_of("selfreward.judges.ifeval:prompt_strict") == Path(ifeval.__file__)
    for missing in (f"{tmp_path / 'none.py'}:f", "no_such_package.module:f", "f"):
        with pytest.raises(ConfigError, match=r"no such (file|module); expected FILE\.py:NAME"):
            fingerprint(missing)


def test_a_function_or_ifeval_and_not_both() -> None:
    for method in ({}, {"function": "x.py:f", "ifeval": "prompt_strict"}):
        with pytest.raises(ValidationError, match=r"set function .* or ifeval"):
            JudgeConfig.model_validate({"method": {"type": "verifiable", **method}})


# --- IFEval

ROW = {
    "key": 1,
    "prompt": "Write without commas, and say tea.",
    "instruction_id_list": ["punctuation:no_comma", "keywords:existence"],
    "kwargs": [{"keywords": None}, {"keywords": ["tea"]}],
}


def prompts_file(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def reference(tmp_path: Path, row: dict[str, Any] = ROW) -> str:
    (found,) = read_prompts(prompts_file(tmp_path, row))
    assert found.reference is not None
    return found.reference


@pytest.mark.parametrize(
    ("level", "scores"),
    [
        ("instruction_strict", [1.0, 0.5, 0.0]),
        ("instruction_loose", [1.0, 1.0, 0.0]),
        ("prompt_strict", [1.0, 0.0, 0.0]),
        ("prompt_loose", [1.0, 1.0, 0.0]),
    ],
)
def test_ifeval_counts_instructions_that_are_followed(tmp_path: Path, level: str, scores: list[float]) -> None:
    pytest.importorskip("if_verifiable")
    responses = ("I like tea.", "Sure, gladly:\nI like tea.", "Milk, then.")
    with Checker(f"{ifeval.__name__}:{level}", 60) as checker:
        found = [checker.verdict(ROW["prompt"], text, reference(tmp_path)) for text in responses]  # type: ignore[arg-type]
        without = checker.verdict("Why?", "So.", None)
    assert [verdict.score for verdict in found] == scores
    assert without.score is None


def test_instructions_are_checked_before_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("if_verifiable")
    ifeval.check_instructions([reference(tmp_path)])
    unknown = reference(tmp_path, {**ROW, "instruction_id_list": ["punctuation:no_comma", "style:rhyme"]})
    with pytest.raises(ConfigError, match=r"no such instructions: style:rhyme; IFEval has .*punctuation:no_comma"):
        ifeval.check_instructions([unknown])
    with pytest.raises(ConfigError, match="has a reference and no instruction_id_list"):
        ifeval.check_instructions(["Paris"])
    sentences = {**ROW, "instruction_id_list": ["length_constraints:number_sentences"], "kwargs": [{}]}
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    with pytest.raises(ConfigError, match=r"NLTK's data, .*python -m nltk\.downloader punkt_tab"):
        ifeval.check_instructions([reference(tmp_path, sentences)])
    (tmp_path / "tokenizers" / "punkt_tab" / "english").mkdir(parents=True)
    ifeval.check_instructions([reference(tmp_path, sentences)])


def test_without_the_package_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'selfreward\[ifeval\]'"):
        ifeval.check_installed()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kwargs": [{}]}, '"kwargs" is no list with a mapping for each'),
        ({"instruction_id_list": "punctuation:no_comma"}, '"instruction_id_list" is no list of names'),
        ({"reference": "Paris"}, 'both "reference" and "instruction_id_list"'),
    ],
)
def test_rows_with_instructions_are_checked(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(SeedError, match=problem):
        read_prompts(prompts_file(tmp_path, {**ROW, **change}))
