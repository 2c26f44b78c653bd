"""`init` writes a recipe and seeds that work as they are."""

from pathlib import Path

import pytest

from selfreward.config import load_config
from selfreward.errors import ConfigError
from selfreward.init import init
from selfreward.resources import find
from selfreward.steps import read_seeds


def test_recipe_is_the_demo_on_local_seeds(tmp_path: Path) -> None:
    recipe = init(tmp_path / "mine")
    made, demo = load_config(recipe), load_config(find("recipes", "demo.yaml"))
    every_seed = demo.sft.model_copy(update={"max_tokens": None})
    own = {"name": "mine", "description": None, "seeds": made.seeds, "sft": every_seed}
    assert made == demo.model_copy(update=own)
    assert made.seeds.ift == str(tmp_path / "mine" / "seeds" / "ift.jsonl")
    assert made.seeds.eft == str(tmp_path / "mine" / "seeds" / "eft.jsonl")
    ift, eft = read_seeds(made)
    assert ift
    assert eft


def test_settings_are_explained(tmp_path: Path) -> None:
    lines = init(tmp_path / "mine").read_text(encoding="utf-8").splitlines()
    assert "  # How strongly the policy is held to the reference." not in lines  # beta is not in the demo's recipe
    assert lines[lines.index("iterations: 2") - 1] == "# Self-reward iterations; 0 does the SFT step only."
    assert (
        "  # How verdicts are asked for: `type: sampled`, `expected`, `pairwise`, `implicit`, `reward_model`,"
        in lines[: lines.index("    type: expected")]
    )
    assert max(map(len, lines[1:])) <= 120


def test_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    init(tmp_path)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["recipe.yaml", "seeds/ift.jsonl", "seeds/eft.jsonl"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    kept = tmp_path / name
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{name}: exists already"):
        init(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [kept]
    assert kept.read_text(encoding="utf-8") == "mine"
