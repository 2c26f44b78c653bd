"""A reward model of a run's pairs."""

import math
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRecipe
from fixture_run import Command

from selfreward.engines.loading import ModelConfig, load_chat
from selfreward.errors import ConfigError
from selfreward.objectives.reward import RewardConfig
from selfreward.records import Message, PreferencePair
from selfreward.reward_training import read_settings
from selfreward.storage.run import RunStore

pytestmark = pytest.mark.slow


def test_it_learns_pairs_and_loads_in_transformers(command: Command, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    recipe = make_recipe(tmp_path, iterations=1)
    less = ("--set", "sft.max_tokens=800", "--set", "responses.max_tokens=96")
    assert command("run", str(recipe), *less)[0] == 0
    out = tmp_path / "reward"
    settings = ("--set", "learning_rate=0.02", "--set", "epochs=10", "--set", "batch_size=8")
    code, _, err = command("train-reward", "tiny", "-i", "1", "-o", str(out), *settings)
    assert code == 0, err
    assert {path.suffix for path in out.iterdir()} <= {".safetensors", ".json", ".jinja", ".md", ".txt"}
    assert not list(tmp_path.glob(".tmp-*"))
    model: Any = AutoModelForSequenceClassification.from_pretrained(out)
    assert model.config.num_labels == 1
    assert AutoTokenizer.from_pretrained(out).chat_template
    chat = load_chat(ModelConfig(name=str(out)))

    def reward(messages: tuple[Message, ...]) -> float:
        (ids,) = chat.encode([messages], open_turn=False)
        with torch.no_grad():
            return float(model(input_ids=torch.tensor([ids])).logits)

    pairs = list(RunStore(tmp_path / "runs/tiny").iteration(1).stored("pairs", PreferencePair).records())
    right = [reward(p.prompt + p.chosen) > reward(p.prompt + p.rejected) for p in pairs]
    assert sum(right) > len(right) / 2
    assert str(tmp_path) not in (out / "README.md").read_text()


def test_its_loss_is_that_of_its_formula(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM

    from selfreward.objectives.optimiser import LoraConfig
    from selfreward.objectives.reward import with_reward_head

    chat = load_chat(ModelConfig(name=str(tiny_model)))
    question, answers = {"role": "user", "content": "Name a tree."}, ("An oak.", "No.")
    row = {"prompt": [question], "chosen": [{"role": "assistant", "content": answers[0]}]}
    data = Dataset.from_list([{**row, "rejected": [{"role": "assistant", "content": answers[1]}]}] * 2)
    torch.manual_seed(0)
    model = with_reward_head(AutoModelForCausalLM.from_pretrained(tiny_model, dtype="float32"), LoraConfig(r=2))
    rewards = []
    for answer in answers:
        turns = [Message(role="user", content="Name a tree."), Message(role="assistant", content=answer)]
        (ids,) = chat.encode([turns], open_turn=False)
        with torch.no_grad():
            rewards.append(float(model(input_ids=torch.tensor([ids])).logits))
    config = RewardConfig(batch_size=2, epochs=2, learning_rate=1e-2, center=0.5, gradient_checkpointing=False)
    trainer: Any = config.trainer(model, chat, data, str(tmp_path / "trainer"), 1)
    trainer.train()
    first, second = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    expected = math.log1p(math.exp(rewards[1] - rewards[0])) + 0.5 * sum(rewards) ** 2
    assert first == pytest.approx(expected, rel=1e-4)
    assert second < first


def test_settings_that_are_none_are_refused() -> None:
    assert read_settings(["learning_rate=0.001"]).learning_rate == 0.001
    with pytest.raises(ConfigError, match=r"--set: learning_rat: .*Settings here: epochs, .*learning_rate"):
        read_settings(["learning_rat=1"])
