"""Dropout acts in SFT, and in preference training only where it is asked for."""

from pathlib import Path
from typing import Any

import pytest
from loss_bench import EXACT, labelled, pairs
from pydantic import TypeAdapter

from selfreward.engines.loading import ModelConfig, load_chat
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.training.job import TrainingJob
from selfreward.training.weights import load_policy

pytestmark = pytest.mark.slow


def losses(tiny_model: Path, out: Path, dropout: float, **settings: Any) -> list[float]:
    model = ModelConfig(name=str(tiny_model))
    objective: Any = TypeAdapter(ObjectiveConfig).validate_python({"epochs": 3, **EXACT, **settings})
    lora = LoraConfig(r=2, alpha=4, dropout=dropout)
    job = TrainingJob(section="train", objective=objective, model=model, parent=None, lora=lora, data=(), seed=1)
    import torch

    torch.manual_seed(0)
    data = labelled(True, True) if objective.type == "sft" else pairs()
    trainer: Any = objective.trainer(load_policy(job), load_chat(model), data, str(out), 1)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize(
    ("settings", "acts"),
    [({"type": "sft"}, True), ({"type": "dpo", "disable_dropout": False}, True), ({"type": "dpo"}, False)],
)
def test_dropout(tiny_model: Path, tmp_path: Path, settings: dict[str, Any], acts: bool) -> None:
    without, with_dropout = (losses(tiny_model, tmp_path / "out", dropout, **settings) for dropout in (0.0, 0.5))
    assert (without[-1] == pytest.approx(with_dropout[-1], abs=1e-6)) != acts
