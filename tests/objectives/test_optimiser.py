from typing import Any

import pytest
from pydantic import ValidationError

from selfreward.objectives.batches import micro_batches
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.kto import KTOConfig
from selfreward.objectives.optimiser import KeepBestConfig, OptimiserConfig, trl_arguments
from selfreward.objectives.reward import RewardConfig
from selfreward.objectives.sft import SFTConfig

CHANGES = {
    "epochs": (2.5, "num_train_epochs", 2.5),
    "lr_scheduler": ("cosine", "lr_scheduler_type", "cosine"),
    "min_lr_ratio": (0.1, "lr_scheduler_kwargs", {"min_lr_rate": 0.1}),
    "warmup_ratio": (0.25, "warmup_steps", 0.25),
    "weight_decay": (0.125, "weight_decay", 0.125),
    "max_grad_norm": (0.5, "max_grad_norm", 0.5),
    "gradient_checkpointing": (True, "gradient_checkpointing", True),
    "micro_batch_size": (2, "per_device_train_batch_size", 2),
    "batch_size": (32, "gradient_accumulation_steps", 8),
    "save_steps": (7, "save_steps", 7),
}


def test_every_setting_is_tried_here() -> None:
    assert {*CHANGES, "batch_tokens"} == set(OptimiserConfig.model_fields)


@pytest.mark.parametrize("setting", CHANGES)
def test_each_setting_reaches_trl(setting: str) -> None:
    value, name, expected = CHANGES[setting]
    more = {"lr_scheduler": "cosine"} if setting == "min_lr_ratio" else {}
    arguments = trl_arguments(SFTConfig.model_validate({setting: value, **more}), "out", 7)
    assert arguments[name] == expected
    assert trl_arguments(SFTConfig(), "out", 7)[name] != expected


@pytest.mark.parametrize("config", [SFTConfig(), DPOConfig()])
def test_batch_is_micro_batch_times_accumulation(config: SFTConfig | DPOConfig) -> None:
    arguments = trl_arguments(config, "out", 7)
    assert arguments["per_device_train_batch_size"] * arguments["gradient_accumulation_steps"] == config.batch_size
    assert arguments["seed"] == 7
    assert arguments["report_to"] == "none"


@pytest.mark.parametrize(
    ("given", "expected"), [(3e-4, [3e-4] * 4), ([3e-4, 1e-4], [3e-4, 1e-4, 1e-4, 1e-4]), ([2e-4], [2e-4] * 4)]
)
def test_a_list_has_a_value_for_each_iteration_and_the_last_holds_on(given: Any, expected: list[float]) -> None:
    for config in (SFTConfig(learning_rate=given), DPOConfig(learning_rate=given)):
        found = [trl_arguments(config.at(t), "out", 7)["learning_rate"] for t in (1, 2, 3, 4)]
        assert found == expected
    assert [DPOConfig(beta=given).at(t).beta for t in (1, 2, 3, 4)] == expected


@pytest.mark.parametrize("wrong", [[], [1e-4, 0.0], 0.0])
def test_a_list_is_not_empty_and_all_of_it_is_above_zero(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="learning_rate"):
        DPOConfig(learning_rate=wrong)


def test_a_cosine_falls_to_its_floor() -> None:
    import torch
    from transformers import get_scheduler

    arguments = trl_arguments(SFTConfig(lr_scheduler="cosine", min_lr_ratio=0.1, learning_rate=1e-2), "out", 7)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=arguments["learning_rate"])
    kind, floor = arguments["lr_scheduler_type"], arguments["lr_scheduler_kwargs"]
    schedule = get_scheduler(kind, optimiser, 0, 10, scheduler_specific_kwargs=floor)
    for _ in range(10):
        optimiser.step()
        schedule.step()
    assert schedule.get_last_lr() == [pytest.approx(1e-3)]
    with pytest.raises(ValidationError, match="goes with lr_scheduler=cosine"):
        SFTConfig(min_lr_ratio=0.1)


@pytest.mark.parametrize(
    ("batch", "micro", "processes", "expected"),
    [(16, 4, 1, (4, 4)), (16, 4, 2, (4, 2)), (16, 32, 2, (8, 1)), (16, "auto", 1, (16, 1)), (12, "auto", 3, (4, 1))],
)
def test_processes_share_a_batch(batch: int, micro: Any, processes: int, expected: tuple[int, int]) -> None:
    assert micro_batches(OptimiserConfig(batch_size=batch, micro_batch_size=micro), processes) == expected


@pytest.mark.parametrize(
    ("config", "processes", "says"),
    [
        (OptimiserConfig(batch_size=16), 3, "batch_size=16 cannot be shared by 3 processes"),
        (
            OptimiserConfig(batch_size=24, micro_batch_size=8),
            2,
            "size=8 does not divide batch_size=24, which",
        ),
        (KTOConfig(batch_size=2), 2, "leaves each of 2 processes 1 at once, and the loss needs 2"),
    ],
)
def test_what_cannot_be_shared_is_refused(config: OptimiserConfig, processes: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        micro_batches(config, processes)


def test_the_launcher_says_how_many_processes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert trl_arguments(SFTConfig(), "out", 7)["gradient_accumulation_steps"] == 4, "nothing was launched"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert trl_arguments(SFTConfig(), "out", 7)["gradient_accumulation_steps"] == 2


@pytest.mark.parametrize("micro", [0, -1, "half"])
def test_a_micro_batch_is_a_number_or_auto(micro: Any) -> None:
    with pytest.raises(ValidationError, match="micro_batch_size"):
        OptimiserConfig(micro_batch_size=micro)


def test_no_checkpoints_where_none_are_asked_for() -> None:
    assert trl_arguments(SFTConfig(save_steps=None), "out", 7)["save_strategy"] == "no"


def test_candidates_are_checkpoints() -> None:
    found = trl_arguments(DPOConfig(keep_best=KeepBestConfig(eval_steps=7), save_steps=50), "out", 7)
    assert (found["eval_steps"], found["save_steps"]) == (7, 7)
    assert found["load_best_model_at_end"]


def test_where_the_judge_chooses_checkpoints_stay_as_they_are() -> None:
    judged = DPOConfig(keep_best=KeepBestConfig(by="judge", eval_steps=7), save_steps=50)
    assert trl_arguments(judged, "out", 7) == trl_arguments(DPOConfig(save_steps=50), "out", 7)
    assert judged.candidate_steps == 7
    assert DPOConfig(keep_best=KeepBestConfig(eval_steps=7)).candidate_steps is None


def test_rows_are_held_out_for_a_loss_alone() -> None:
    assert KeepBestConfig().held_out == 0.1
    assert KeepBestConfig(by="held_out_loss", held_out=None).held_out == 0.1, "as a config with by=judge is written out"
    assert KeepBestConfig(by="judge").held_out is None
    with pytest.raises(ValidationError, match="held_out is of no use with by=judge"):
        KeepBestConfig(by="judge", held_out=0.3)
    with pytest.raises(ValidationError, match="a reward model writes none"):
        RewardConfig(keep_best=KeepBestConfig(by="judge"))
