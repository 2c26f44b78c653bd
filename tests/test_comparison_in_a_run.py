"""A run of a tiny model that compares its models, and the command that comes to the same figures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fixture_run import Command

from selfreward.resources import find

pytestmark = pytest.mark.slow


def test_a_run_and_the_command_agree(
    command: Command, make_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selfreward.verdicts.comparing.cache_root", lambda: tmp_path / "cache")
    (tmp_path / "held.txt").write_text("".join(f"Name {i} fruits.\n" for i in range(8)), encoding="utf-8")
    expected = {"type": "expected", "min_mass": 0.0}
    judge = {"method": {"type": "pairwise", "verdict": expected}}
    seeds = {"ift": str(find("seeds", "ift.jsonl"))}
    evaluation = {"prompts": "held.txt"}
    recipe = make_recipe(tmp_path, iterations=2, evaluation=evaluation, judge=judge, seeds=seeds)

    code, _, err = command("run", str(recipe), "--set", "sft.max_tokens=800")
    assert code == 0, err
    runs = tmp_path / "runs" / "tiny"
    measured = {t: json.loads((runs / f"iter-00{t}" / "metrics.json").read_text())["comparison"] for t in (1, 2)}
    assert [(m["first"]["model"], m["second"]["model"]) for m in measured.values()] == [("M1", "M2"), ("M2", "M3")]
    assert measured[1]["prompts"] == 8
    assert measured[1]["wins"] + measured[1]["ties"] + measured[1]["losses"] == 8

    code, out, err = command("eval", "compare", "tiny", "-i", "2", "-i", "3", "--json")
    assert code == 0, err
    found = json.loads(out.replace(" of tiny", ""))
    assert found == measured[2]

    # Neither is anything made again, nor does a change stand in the way.
    before = (runs / "iter-002" / "manifest.json").read_bytes()
    code, _, err = command("run", str(recipe), "--set", "sft.max_tokens=800", "--set", "evaluation.prompts=null")
    assert code == 0, err
    assert (runs / "iter-002" / "manifest.json").read_bytes() == before
    assert command("verify", "tiny")[0] == 0
    assert "M3 wins" in command("status", "tiny")[1]
    assert "compared_after" in command("run", str(recipe), "--dry-run")[1]
