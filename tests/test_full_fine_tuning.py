"""Runs that train all weights: a whole model an iteration, and everything that looks at a run copes with it."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRecipe
from fixture_run import Command
from starlette.testclient import TestClient

from selfreward.api import open_run
from selfreward.config import load_config
from selfreward.engines.driver import ask
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import NextToken, Request, Sampling
from selfreward.engines.transformers import TransformersConfig, TransformersEngine
from selfreward.loop import run
from selfreward.records import Judgment, Message, PreferencePair, Response
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify
from selfreward.viewer.app import make_app
from selfreward.viewer.security import Access

pytestmark = pytest.mark.slow
LESS = {
    "sft": {"max_tokens": 800, "batch_size": 4, "learning_rate": 1.0e-3},
    "train": {"batch_size": 2, "micro_batch_size": 2, "learning_rate": 3.0e-4},
}


@pytest.fixture(scope="module")
def recipe(make_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recipe(tmp_path_factory.mktemp("full"), lora=None, **LESS)


@pytest.fixture(scope="module")
def finished(recipe: Path) -> RunStore:
    """A finished run of two iterations."""
    return run(load_config(recipe))


def weights_of(directory: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(directory / "model.safetensors")


def said(model: Path, weights: Path | None) -> tuple[list[tuple[int, ...]], list[float]]:
    """What an engine writes greedily, and how likely it finds a few tokens."""
    engine = TransformersEngine(ModelConfig(name=str(model)), TransformersConfig())
    engine.use(weights)
    asked = [Request((Message(role="user", content=f"Tell me about {topic}."),)) for topic in ("rivers", "tea")]
    written = [c.token_ids for a in ask(engine, asked, Sampling(max_tokens=16, temperature=0.0)) for c in a.completions]
    return written, [x for answer in ask(engine, asked, NextToken((5, 520, 530))) for x in answer.logprobs]


def test_each_iteration_makes_a_whole_model(finished: RunStore, tiny_model: Path) -> None:
    import torch

    assert verify(finished.path) == []
    models = [finished.iteration(t).path / "model" for t in (0, 1, 2)]
    for t, model in enumerate(models):
        assert {path.suffix for path in model.iterdir()} <= {".safetensors", ".json", ".jinja", ".txt"}
        for name in ("config.json", "generation_config.json"):
            assert (model / name).read_bytes() == (tiny_model / name).read_bytes()
        assert {name for name, entry in finished.iteration(t).manifest.stages.items() if entry.finished} >= {"model"}
        assert finished.iteration(t).stage("adapter") is None
    weights = [weights_of(model) for model in (tiny_model, *models)]
    assert {tensor.dtype for tensor in weights[-1].values()} == {torch.float32}
    for before, after in pairwise(weights):
        assert before.keys() == after.keys()
        moved = [name for name in before if not torch.equal(before[name], after[name])]
        assert {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"} <= set(moved), "all of them"


def test_the_reference_is_the_parent(finished: RunStore) -> None:
    for t in (1, 2):
        steps = [json.loads(line) for line in (finished.iteration(t).path / "training.jsonl").read_text().splitlines()]
        assert steps[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
        assert steps[0]["rewards/margins"] == pytest.approx(0, abs=1e-4)


def test_the_engine_answers_as_the_model_that_was_saved(finished: RunStore, tiny_model: Path) -> None:
    found = [said(tiny_model, finished.iteration(t).path / "model") for t in (0, 1, 2)]
    assert found == [said(finished.iteration(t).path / "model", None) for t in (0, 1, 2)]
    for (_, before), (_, after) in pairwise([said(tiny_model, None), *found]):
        assert before != pytest.approx(after, abs=1e-4)
    for t in (1, 2):
        assert {r.model for r in finished.iteration(t).stored("responses", Response).records()} == {f"M{t}"}


def test_the_same_command_finds_everything_done_and_another_kind_is_refused(
    command: Command, finished: RunStore, recipe: Path
) -> None:
    before = (finished.iteration(2).path / "manifest.json").read_bytes()
    assert command("run", str(recipe))[0] == 0
    assert (finished.iteration(2).path / "manifest.json").read_bytes() == before
    code, _, err = command("run", str(recipe), "--set", "lora.r=4")
    assert (code, "trained all weights, and lora now says otherwise" in err) == (1, True), err


def test_it_can_be_looked_at(command: Command, finished: RunStore, recipe: Path) -> None:
    name = str(finished.path)
    code, plan, err = command("run", str(recipe), "--name", "planned", "--dry-run")
    assert code == 0, err
    assert "model" in plan.split()
    (pair, *_) = finished.iteration(1).stored("pairs", PreferencePair).records()
    beside = ("compare", name, "-i", "1", "-i", "2")
    for looked in (("show", name, pair.id), ("status", name), ("verify", name), beside, ("ls",)):
        code, _, err = command(*looked)
        assert code == 0, (looked, err)
    assert command("diagnose", name)[0] in (0, 1)
    site = TestClient(make_app(finished.path.parent, Access()), base_url="http://127.0.0.1")
    page = site.get(f"/runs/{finished.path.name}")
    assert page.status_code == 200
    entry = finished.iteration(1).trained
    assert entry is not None
    assert entry.digest in page.text
    assert open_run(name).iteration(2).weights == finished.path / "iter-002" / "model"


def test_a_merged_model_is_the_one_that_was_trained(command: Command, finished: RunStore, tmp_path: Path) -> None:
    import torch

    out = tmp_path / "merged"
    code, _, err = command("merge", str(finished.path), "-i", "2", "-o", str(out))
    assert code == 0, err
    merged, trained = weights_of(out), weights_of(finished.path / "iter-002" / "model")
    assert all(torch.equal(merged[name], trained[name]) for name in trained)
    card = (out / "README.md").read_text()
    assert "All weights of tiny were trained" in card
    assert str(finished.path) not in "".join(file.read_text() for file in out.glob("*.json")) + card


def test_a_reward_model_is_trained_over_it(command: Command, finished: RunStore, tmp_path: Path) -> None:
    out = tmp_path / "reward"
    code, _, err = command("train-reward", str(finished.path), "-i", "2", "-o", str(out), "--set", "batch_size=8")
    assert code == 0, err
    assert list(out.glob("*.safetensors"))
    assert not list(out.glob("adapter*"))


def test_two_models_of_it_are_compared(command: Command, finished: RunStore, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("Name a tree.\nSay yes.\n", encoding="utf-8")
    asked = ("-i", "1", "-i", "2", "--prompts", "prompts.txt", "--set", "responses.max_tokens=8")
    code, _, err = command("eval", "compare", str(finished.path), *asked)
    assert code == 0, err


def test_a_fork_goes_on_from_a_whole_model(command: Command, finished: RunStore) -> None:
    name = str(finished.path)
    code, _, err = command("fork", name, "--at", "1", "--name", "other", "--set", "lora.r=8")
    assert (code, "lora: None -> " in err) == (1, True), err
    code, _, err = command("fork", name, "--at", "1", "--name", "other", "--set", "train.beta=0.5")
    assert code == 0, err
    other = str(finished.path.parent / "other")
    code, _, err = command("run", other, "-n", "2")
    assert code == 0, err
    assert verify(Path(other)) == []
    made = RunStore(Path(other)).iteration(2).stage("model")
    assert made is not None
    assert made.settings["lora"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"judge": {"method": {"type": "implicit"}}, "iterations": 2},
        {"pairs": {"type": "rejected_from_initial"}, "iterations": 1},
    ],
)
def test_models_that_take_turns(make_recipe: MakeRecipe, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Implicit rewards ask policy and reference; another rule asks the root model beside the policy."""
    if "judge" in changes:
        changes = {**changes, "seeds": {"ift": str(_ift(tmp_path))}}
    store = run(load_config(make_recipe(tmp_path, lora=None, **LESS, **changes)))
    assert verify(store.path) == []
    last = store.iteration(changes["iterations"])
    assert all(j.score is not None for j in last.stored("judgments", Judgment).records())


def _ift(directory: Path) -> Path:
    path = directory / "ift.jsonl"
    rows = [{"instruction": f"Say {n}.", "response": f"Here it is: {n}."} for n in range(12)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path
