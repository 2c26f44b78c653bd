"""Runs of a tiny model with the pair rules that ask for more."""

from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRecipe
from fixture_run import Command

from selfreward.storage.run import RunStore

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("rule", "stages"),
    [
        ({"type": "rejected_from_initial"}, {"initial_responses", "initial_judgments"}),
        ({"type": "consistent", "min_tau": -1.0}, {"previous_judgments"}),
    ],
)
def test_a_run_and_what_can_be_looked_at(
    command: Command, make_recipe: MakeRecipe, tmp_path: Path, rule: dict[str, Any], stages: set[str]
) -> None:
    recipe = make_recipe(tmp_path, iterations=1, pairs=rule)
    less = ("--set", "sft.max_tokens=800", "--set", "responses.max_tokens=96")
    code, plan, err = command("run", str(recipe), *less, "--dry-run")
    assert code == 0, err
    assert all(stage in plan for stage in stages)
    code, _, err = command("run", str(recipe), *less)
    assert code == 0, err
    it = RunStore(tmp_path / "runs" / "tiny").iteration(1)
    assert stages <= {name for name, entry in it.manifest.stages.items() if entry.finished}
    assert it.manifest.stages["pairs"].rows
    assert command("verify", "tiny")[0] == 0
    pair = command("pairs", "tiny", "-i", "1")[1].split()[0]
    code, out, err = command("show", "tiny", pair)
    assert code == 0, err
    assert rule["type"] in out
    before = (it.path / "manifest.json").read_bytes()
    assert command("run", str(recipe), *less)[0] == 0
    assert (it.path / "manifest.json").read_bytes() == before
