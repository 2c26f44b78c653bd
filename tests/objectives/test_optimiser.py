import pytest

from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import OptimiserConfig, trl_arguments
from selfreward.objectives.sft import SFTConfig

CHANGES = {
    "epochs": (2.5, "num_train_epochs", 2.5),
    "lr_scheduler": ("cosine", "lr_scheduler_type", "cosine"),
    "warmup_ratio": (0.25, "warmup_steps", 0.25),
    "weight_decay": (0.125, "weight_decay", 0.125),
    "max_grad_norm": (0.5, "max_grad_norm", 0.5),
    "gradient_checkpointing": (True, "gradient_checkpointing", True),
    "micro_batch_size": (2, "per_device_train_batch_size", 2),
    "batch_size": (32, "gradient_accumulation_steps", 8),
}


def test_every_setting_is_tried_here() -> None:
    assert set(CHANGES) == set(OptimiserConfig.model_fields)


@pytest.mark.parametrize("setting", CHANGES)
def test_each_setting_reaches_trl(setting: str) -> None:
    value, name, expected = CHANGES[setting]
    arguments = trl_arguments(OptimiserConfig.model_validate({setting: value}), "out", 7)
    assert arguments[name] == expected
    assert trl_arguments(OptimiserConfig(), "out", 7)[name] != expected


@pytest.mark.parametrize("config", [SFTConfig(), DPOConfig()])
def test_batch_is_micro_batch_times_accumulation(config: OptimiserConfig) -> None:
    arguments = trl_arguments(config, "out", 7)
    assert arguments["per_device_train_batch_size"] * arguments["gradient_accumulation_steps"] == config.batch_size
    assert arguments["seed"] == 7
    assert arguments["report_to"] == "none"
