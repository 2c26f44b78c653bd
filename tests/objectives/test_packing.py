"""Examples in one row learn what they learn apart, and a model that cannot keep them apart is refused."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from loss_bench import PAIRS, Bench, labelled, turns
from pydantic import TypeAdapter, ValidationError

from selfreward.errors import TrainingError
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.packing import refuse_where_examples_meet
from selfreward.objectives.sft import SeedSFTConfig
from selfreward.training.cost import cost_recorder

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tiny_model: Path, tmp_path: Path) -> Bench:
    return Bench(tiny_model, tmp_path / "trainer")


def test_packed_examples_have_the_loss_of_examples_by_themselves(bench: Bench, tmp_path: Path) -> None:
    data = labelled(True, True)
    alone, _ = bench.first_losses(data, type="sft")
    config: Any = TypeAdapter(ObjectiveConfig).validate_python(
        {"type": "sft", "packing": True, "max_length": 256, "batch_size": 1, "epochs": 2}
        | {"lr_scheduler": "constant", "learning_rate": 5e-3, "gradient_checkpointing": False}
    )
    trainer: Any = config.trainer(bench.policy(), bench.chat, data, str(bench.out), 1)
    trainer.add_callback(cost_recorder(trainer, tmp_path / "cost"))
    trainer.train()
    packed = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert packed == pytest.approx(alone, rel=1e-3), "one row of both is a batch of both"
    tokens = sum(len(row["input_ids"]) for row in trainer.train_dataset)
    assert len(trainer.train_dataset) == 1
    steps = [json.loads(line) for line in (tmp_path / "cost").read_text().splitlines()]
    assert [step["tokens"] for step in steps] == [tokens] * 2


def test_a_model_that_lets_examples_meet_is_refused(bench: Bench) -> None:
    import torch

    policy = bench.policy()
    first, second = (bench.chat.encode_targets([turns(q, a)])[0][0] for q, a, _ in PAIRS)
    refuse_where_examples_meet(policy, first, second)

    class Older(torch.nn.Module):
        """Masks nothing but the future, whatever the positions."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = copy.deepcopy(policy)

        def forward(self, input_ids: Any, attention_mask: Any = None, **given: Any) -> Any:
            return self.inner(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), **given)

    with pytest.raises(TrainingError, match="packing: Older lets examples of one row attend to each other"):
        refuse_where_examples_meet(Older(), first, second)


def test_the_seeds_can_be_packed_too() -> None:
    assert SeedSFTConfig(packing=True, max_length=64).objective().packing
    with pytest.raises(ValidationError, match="packing needs max_length"):
        SeedSFTConfig(packing=True)
