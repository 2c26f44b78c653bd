"""Runs of a tiny model with the pair rules that ask for more."""

from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRecipe
from fixture_run import Command

from selfreward.config import load_config
from selfreward.query import page_of_pairs
from selfreward.records import IFTSeed, Labelled, PreferencePair
from selfreward.steps.metrics import iteration_metrics
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


def test_spin_judges_nothing_and_chooses_the_seeds_responses(
    command: Command, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    prompts = {"count": 4, "from_seeds": True}
    recipe = make_recipe(tmp_path, iterations=2, pairs={"type": "spin"}, prompts=prompts)
    less = ("--set", "sft.max_tokens=800", "--set", "responses.n=2", "--set", "responses.max_tokens=96")
    code, plan, err = command("run", str(recipe), *less, "--dry-run")
    assert (code, "judgments" in plan) == (0, False), err
    code, _, err = command("run", str(recipe), *less)
    assert code == 0, err
    run = RunStore(tmp_path / "runs" / "tiny")
    seeds = {seed.id: seed for seed in run.iteration(0).stored("seeds_ift", IFTSeed).records()}
    used = []
    for t in (1, 2):
        it = run.iteration(t)
        assert set(it.manifest.stages) == {"prompts", "responses", "pairs", "adapter", "metrics"}
        pairs = list(it.stored("pairs", PreferencePair).records())
        assert pairs
        for pair in pairs:
            assert pair.chosen == seeds[pair.chosen_id].messages[-1:]
            assert pair.prompt == seeds[pair.chosen_id].messages[:-1]
        used.append({pair.chosen_id for pair in pairs})
        assert iteration_metrics(run, it)["pair_similarity"]
    assert not used[0] & used[1]
    assert {row.margin for row in page_of_pairs(run, 1).rows} == {None}
    assert command("verify", "tiny")[0] == 0
    assert "not judged" in command("pairs", "tiny", "-i", "1")[1]
    code, out, err = command("show", "tiny", pairs[0].id)
    assert code == 0, err
    assert f"chosen   {pairs[0].chosen_id}" in out
    assert "of seed" in out
    assert command("diagnose", "tiny")[0] in (0, 1)


def test_single_responses_are_trained_on(command: Command, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    rule = {"type": "positives", "min_score": 1.0}
    recipe = make_recipe(tmp_path, iterations=1, pairs=rule, train={"type": "sft", "batch_size": 2})
    less = ("--set", "sft.max_tokens=800", "--set", "responses.max_tokens=96")
    code, plan, err = command("run", str(recipe), *less, "--dry-run")
    assert (code, "labelled" in plan) == (0, True), err
    code, _, err = command("run", str(recipe), *less)
    assert code == 0, err
    it = RunStore(tmp_path / "runs" / "tiny").iteration(1)
    assert load_config(recipe).train.type == it.manifest.stages["adapter"].settings["train"]["type"]
    rows = list(it.stored("labelled", Labelled).records())
    assert it.manifest.stages["adapter"].counts["rows"] == len(rows) > 0
    assert command("verify", "tiny")[0] == 0
    code, out, err = command("show", "tiny", rows[0].id)
    assert code == 0, err
    assert "WANTED" in out
    assert "positives" in out
    code, _, err = command("pairs", "tiny", "-i", "1")
    assert (code, "makes no pairs" in err) == (1, True)
    before = (it.path / "manifest.json").read_bytes()
    assert command("run", str(recipe), *less)[0] == 0
    assert (it.path / "manifest.json").read_bytes() == before


def test_kto_says_when_the_threshold_is_on_one_side_and_trains_when_it_is_between(
    command: Command, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    rule, objective = {"type": "threshold", "min_score": 0.0}, {"type": "kto", "batch_size": 4}
    recipe = make_recipe(tmp_path, iterations=1, pairs=rule, train=objective)
    less = ("--set", "sft.max_tokens=800", "--set", "responses.max_tokens=96")
    code, _, err = command("run", str(recipe), *less)
    assert (code, "on one side of pairs.min_score" in err) == (1, True), err
    rows = RunStore(tmp_path / "runs" / "tiny").iteration(1).stored("labelled", Labelled).records()
    median = sorted(row.score for row in rows)[3]
    code, _, err = command("fork", "tiny", "--at", "0", "--name", "other", "--set", f"pairs.min_score={median!r}")
    assert code == 0, err
    code, _, err = command("run", "other")
    assert code == 0, err
    it = RunStore(tmp_path / "runs" / "other").iteration(1)
    assert {row.label for row in it.stored("labelled", Labelled).records()} == {True, False}
    assert "kl" in it.manifest.stages["adapter"].summary
