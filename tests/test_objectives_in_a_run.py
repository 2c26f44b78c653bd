"""Each iteration trains with an objective of its own, and only that one is in its key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fixture_run import Command

from selfreward.diagnose import diagnose
from selfreward.storage.run import RunStore

pytestmark = pytest.mark.slow


def test_an_objective_for_each_iteration(command: Command, make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    settings = {"batch_size": 2, "micro_batch_size": 2, "learning_rate": 1.0e-3}
    train = [{"type": "dpo", **settings}, {"type": "orpo", **settings}]
    recipe = str(make_recipe(tmp_path, iterations=1, sft={"enabled": False}, train=train))
    code, _, err = command("run", recipe)
    assert code == 0, err
    code, _, err = command("run", recipe, "-n", "2", "--set", "train.1.beta=0.7")
    assert code == 0, err
    run = RunStore(tmp_path / "runs" / "tiny")
    found = [run.iteration(t).manifest.stages["adapter"].settings["train"] for t in (1, 2)]
    assert [(one["type"], one["beta"]) for one in found] == [("dpo", 0.1), ("orpo", 0.7)]
    assert "log_odds_chosen" not in (run.path / "iter-001" / "training.jsonl").read_text()
    assert "log_odds_chosen" in (run.path / "iter-002" / "training.jsonl").read_text()
    assert len(diagnose(run).iterations) == 3
    code, _, err = command("run", recipe, "-n", "2", "--set", "train.1.beta=0.7", "--set", "train.0.beta=0.2")
    assert code == 1
    assert "train.beta: 0.1 -> 0.2" in err
    code, _, err = command("fork", str(run.path), "--at", "1", "--name", "other", "--set", "train.1.type=simpo")
    assert code == 0, err
    assert RunStore(tmp_path / "runs" / "other").config().objective(2).type == "simpo"
