"""A run of a tiny model that measures its judge, and the command that comes to the same figures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fixture_run import Command

pytestmark = pytest.mark.slow


def test_a_run_and_the_command_agree(
    command: Command, make_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selfreward.verdicts.measuring.cache_root", lambda: tmp_path / "cache")
    rows = [
        {"prompt_id": f"q{i}", "prompt": f"Name {i} fruits.", "response": text, "rank": rank, "quality": None}
        for i in range(8)
        for rank, text in enumerate(("apple pear plum"[: 5 * (i % 3 + 1)], "I like trains", "no"))
    ]
    (tmp_path / "held.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    recipe = make_recipe(tmp_path, iterations=1, evaluation={"judge_data": "held.jsonl"})

    code, _, err = command("run", str(recipe), "--set", "sft.max_tokens=800")
    assert code == 0, err
    assert "judge right" in err
    metrics = json.loads((tmp_path / "runs" / "tiny" / "iter-001" / "metrics.json").read_text())
    measured = metrics["judge_quality"]
    assert (measured["judge"], measured["method"], measured["whole"]["pairs"]) == ("M1", "expected", 24)

    code, out, err = command("eval", "judge", "tiny", "--json")
    assert code == 0, err
    m1, m2 = json.loads(out)["judges"]
    assert m1 == {**measured, "judge": "M1 of tiny"}
    assert m2["judge"] == "M2 of tiny"

    # Neither is anything made again, nor does a change stand in the way.
    before = (tmp_path / "runs" / "tiny" / "iter-001" / "manifest.json").read_bytes()
    for change in ("evaluation.judge_data=null", "evaluation.judge_prompts=3"):
        code, _, err = command("run", str(recipe), "--set", "sft.max_tokens=800", "--set", change)
        assert code == 0, err
    assert (tmp_path / "runs" / "tiny" / "iter-001" / "manifest.json").read_bytes() == before
    assert command("verify", "tiny")[0] == 0
    assert "judge right" in command("status", "tiny")[1]
    assert "heldout_judgments" in command("run", str(recipe), "--dry-run")[1]
