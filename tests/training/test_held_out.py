"""The best of several steps: which rows it is chosen by, and that it is the one that is kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from training_jobs import MakeJob, Watched, pair, rows_for

from selfreward.errors import TrainingError
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import KeepBestConfig
from selfreward.training.held_out import candidates, hold_out


def _rows(prompts: list[str]) -> Any:
    from datasets import Dataset

    return Dataset.from_list([{"prompt_id": prompt, "n": n} for n, prompt in enumerate(prompts)])


@pytest.mark.parametrize(("share", "held_out"), [(0.01, 1), (0.5, 2), (0.99, 3)])
def test_prompts_are_held_out_whole(make_job: MakeJob, share: float, held_out: int) -> None:
    job = make_job(DPOConfig(keep_best=KeepBestConfig(held_out=share)), [pair(0)])
    data = _rows(["a", "b", "c", "d", "a", "b", "c", "d"])
    trained, out = hold_out(job, data)
    assert out is not None
    assert set(trained["prompt_id"]) & set(out["prompt_id"]) == set()
    assert len(set(out["prompt_id"])) == held_out
    assert sorted([*trained["n"], *out["n"]]) == list(range(8))
    again = hold_out(job, data)[1]
    assert again is not None
    assert out["n"][:] == again["n"][:]


def test_another_seed_holds_out_others(make_job: MakeJob) -> None:
    data = _rows([str(n) for n in range(50)])
    found = []
    for seed in (1, 2):
        _, out = hold_out(make_job(DPOConfig(keep_best=KeepBestConfig()), [pair(0)], seed=seed), data)
        assert out is not None
        found.append(out["prompt_id"][:])
    assert found[0] != found[1]


def test_one_prompt_cannot_be_shared(make_job: MakeJob) -> None:
    with pytest.raises(TrainingError, match=r"of one prompt, and train\.keep_best"):
        hold_out(make_job(DPOConfig(keep_best=KeepBestConfig()), [pair(0)]), _rows(["a", "a"]))


def test_nothing_is_held_out_where_nothing_is_compared(make_job: MakeJob) -> None:
    data = _rows(["a"])
    assert hold_out(make_job(DPOConfig(), [pair(0)]), data) == (data, None)


def test_times_are_left_out_of_what_is_kept_of_a_candidate() -> None:
    log = [{"loss": 1.0, "step": 1}, {"eval_loss": 0.5, "eval_runtime": 3.1, "step": 1}]
    assert candidates(log) == [{"eval_loss": 0.5, "step": 1}]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dpo", "kto", "cpo", "simpo", "orpo", "sft"])
def test_the_step_with_the_lowest_loss_is_kept(make_job: MakeJob, tmp_path: Path, kind: str) -> None:
    about = {"batch_size": 4, "micro_batch_size": 2, "epochs": 2, "learning_rate": 5e-2, "lr_scheduler": "constant"}
    best = {"eval_steps": 2, "held_out": 0.25}
    objective: Any = TypeAdapter(ObjectiveConfig).validate_python({"type": kind, **about, "keep_best": best})
    training = Watched(make_job(objective, rows_for(kind, 24)), tmp_path / "out")
    result = training.train()
    losses = {entry["step"]: entry["eval_loss"] for entry in result.candidates}
    steps = len(result.steps)
    assert list(losses) == [*range(2, steps, 2), steps]
    assert result.kept_step == min(losses, key=lambda step: (losses[step], step))
    assert result.summary()["kept_step"] == result.kept_step
    assert result.counts["rows"] + result.counts["held_out"] == 24
    (said,) = training.said
    assert said == f"the policy after step {result.kept_step} is kept: its loss on held-out rows was the lowest"
    lines = [json.loads(line) for line in training.log.splitlines()]
    assert len([line for line in lines if "eval_loss" in line]) == len(losses)


@pytest.mark.slow
def test_what_was_cut_off_keeps_the_same_one(make_job: MakeJob, happens: Callable[[str], None], tmp_path: Path) -> None:
    best = KeepBestConfig(eval_steps=1, held_out=0.25)
    objective = DPOConfig(batch_size=4, epochs=2, learning_rate=5e-2, lr_scheduler="constant", keep_best=best)
    whole = Watched(make_job(objective, rows_for("dpo", 16)), tmp_path / "whole")
    expected = whole.train()
    cut = Watched(whole.job, tmp_path / "cut")
    happens(f"kill:{len(expected.steps) - 1}")
    with pytest.raises(TrainingError):
        cut.train()
    happens("")
    found = cut.train()
    assert (found.steps, found.candidates, found.kept_step) == (
        expected.steps,
        expected.candidates,
        expected.kept_step,
    )
    assert (cut.weights, cut.log) == (whole.weights, whole.log)
