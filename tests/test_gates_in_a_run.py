"""A run of a tiny model that a gate stops, and that goes on once the gate is open."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fixture_run import Command

pytestmark = pytest.mark.slow


def test_a_gate_stops_a_run_before_training_and_keeps_everything(
    command: Command, make_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    gates = {"stop_if": {"pairs_per_prompt": 1.0}, "warn_if": {"pairs_per_prompt": 1.0, "length_growth": 1.01}}
    recipe = make_recipe(tmp_path, iterations=1, sft={"enabled": False}, **gates)
    code, _, err = command("run", str(recipe))
    assert code == 1
    assert "warn_if.pairs_per_prompt" in err
    assert "stopped by stop_if.pairs_per_prompt" in err
    assert "selfreward fork tiny --at 0 --name NEW" in err
    run = tmp_path / "runs" / "tiny"
    stages = json.loads((run / "iter-001" / "manifest.json").read_text())["stages"]
    assert stages["pairs"]["finished"]
    assert "adapter" not in stages
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    seen = [(e["gate"], e["action"], e["limit"]) for e in events if e["event"] == "gate_tripped"]
    assert seen == [("pairs_per_prompt", "warn", 1.0), ("pairs_per_prompt", "stop", 1.0)]

    pairs = (run / "iter-001" / "pairs").stat().st_mtime_ns
    code, _, err = command("run", str(recipe), "--set", "stop_if.pairs_per_prompt=null")
    assert code == 0, err
    assert "adapter" in json.loads((run / "iter-001" / "manifest.json").read_text())["stages"]
    assert (run / "iter-001" / "pairs").stat().st_mtime_ns == pairs
    assert command("run", str(recipe))[0] == 0, "nobody looks again at a finished iteration"


def test_a_gate_that_cannot_trip_is_refused(command: Command, make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, stop_if={"judge_accuracy_low": 0.5})
    code, _, err = command("run", str(recipe), "--dry-run")
    assert code == 1
    assert "stop_if.judge_accuracy_low" in err
