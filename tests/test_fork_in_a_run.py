"""A fork of a tiny model's run that goes on with another pair rule, judge and objective."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fixture_run import Command

from selfreward.resources import find

pytestmark = pytest.mark.slow


def test_a_fork_may_ask_for_stages_that_what_it_shares_never_had(
    command: Command, make_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = make_recipe(tmp_path, iterations=1, sft={"enabled": False}, seeds={"ift": str(find("seeds", "ift.jsonl"))})
    code, _, err = command("run", str(recipe))
    assert code == 0, err
    shared = tmp_path / "runs" / "tiny" / "iter-001"
    before = (shared / "manifest.json").read_bytes()
    (tmp_path / "judge.py").write_text("def length(prompt, response, reference):\n    return len(response)\n")
    changes = (
        *("pairs.type=positives", "pairs.min_score=1", "train.type=sft"),
        *("judge.method.type=verifiable", f"judge.method.function={tmp_path / 'judge.py'}:length"),
    )
    arguments = [word for change in changes for word in ("--set", change)]
    code, _, err = command("fork", "tiny", "--at", "1", "--name", "other", *arguments)
    assert code == 0, err
    other = tmp_path / "runs" / "other"
    code, _, err = command("run", str(other), "-n", "2")
    assert code == 0, err

    assert (shared / "manifest.json").read_bytes() == before
    stages = json.loads((other / "iter-002" / "manifest.json").read_text())["stages"]
    assert {"labelled", "adapter"} <= set(stages)
    assert stages["judgments"]["settings"]["judge"]["method"]["type"] == "verifiable"
    taken = json.loads((other / "iter-001" / "manifest.json").read_text())
    assert taken["stages"]["adapter"]["files"] == json.loads(before)["stages"]["adapter"]["files"]
    assert command("verify", "other")[0] == 0
