"""A person's decisions in a run of a tiny model: they wait, go along with a fork, and train another model."""

from pathlib import Path

import pytest
from conftest import MakeRecipe
from fixture_run import Command

from selfreward.query.pairs import page_of_pairs
from selfreward.storage.run import RunStore

pytestmark = pytest.mark.slow
SHARED = ("prompts", "responses", "judgments")


def test_a_fork_from_pairs_trains_on_what_was_decided(
    command: Command, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = str(make_recipe(tmp_path, iterations=1))
    less = ("--set", "sft.max_tokens=800", "--set", "responses.max_tokens=96")
    assert command("run", recipe, *less)[0] == 0
    run = RunStore(tmp_path / "runs" / "tiny")
    first, second, *_ = page_of_pairs(run, 1).rows
    assert command("override", "tiny", first.id, "--exclude", "--reason", "nonsense")[0] == 0
    assert command("override", "tiny", second.id, "--swap", "--reason", "the other is right")[0] == 0

    manifest = (run.path / "iter-001" / "manifest.json").read_bytes()
    code, _, err = command("run", recipe, *less)
    assert code == 0, err
    assert "decisions that came after they were built: 2" in " ".join(err.split())
    assert (run.path / "iter-001" / "manifest.json").read_bytes() == manifest

    code, _, err = command("fork", "tiny", "--from-pairs", "1", "--name", "decided")
    assert code == 0, err
    code, _, err = command("run", "runs/decided")
    assert code == 0, err
    old, new = run.iteration(1), RunStore(tmp_path / "runs" / "decided").iteration(1)
    assert all(new.manifest.stages[name] == old.manifest.stages[name] for name in SHARED)
    assert new.manifest.stages["pairs"].counts["override.swapped"] == 1
    assert new.manifest.stages["pairs"].rows == old.manifest.stages["pairs"].rows - 1
    assert new.manifest.stages["adapter"].digest != old.manifest.stages["adapter"].digest
    assert new.manifest.finished
    assert command("verify", "decided")[0] == 0
    code, _, err = command("run", "runs/decided", "--set", "responses.n=4", "-n", "1")
    assert code == 1, "what is shared is held against its settings"
    assert "was made with other settings" in err
