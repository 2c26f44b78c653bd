"""Training that was cut off goes on as if it never had been: weights, optimiser, random numbers, reference, log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from training_jobs import MakeJob, Watched, example, pair, rows_for

from selfreward.errors import TrainingError
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.objectives.sft import SFTConfig
from selfreward.training.checkpoints import _mark, last_checkpoint, settle, step_of

Happens = Callable[[str], None]


def _written(directory: Path, step: int, best: int | None = None) -> Path:
    checkpoint = directory / f"checkpoint-{step}"
    (checkpoint / "ref").mkdir(parents=True)
    (checkpoint / "ref" / "adapter_model.safetensors").write_bytes(b"M_t")
    (checkpoint / "adapter_model.safetensors").write_bytes(b"weights")
    (checkpoint / "training_args.bin").write_bytes(b"pickled")
    state = {"best_model_checkpoint": None if best is None else str(directory / f"checkpoint-{best}")}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    return checkpoint


def test_what_is_marked_is_small_and_whole(tmp_path: Path) -> None:
    _mark(_written(tmp_path, 9))
    _mark(_written(tmp_path, 10))
    assert settle(tmp_path) == []
    last = last_checkpoint(tmp_path)
    assert last is not None
    assert step_of(last) == 10
    assert sorted(p.name for p in last.iterdir()) == ["adapter_model.safetensors", "trainer_state.json", "whole.json"]


@pytest.mark.parametrize("damage", ["unmarked", "cut", "gone", "mark"])
def test_what_is_not_whole_is_left_out_and_said(tmp_path: Path, damage: str) -> None:
    _mark(_written(tmp_path, 5))
    broken = _written(tmp_path, 10)
    if damage != "unmarked":
        _mark(broken)
    if damage == "cut":
        (broken / "adapter_model.safetensors").write_bytes(b"weig")
    if damage == "gone":
        (broken / "adapter_model.safetensors").unlink()
    if damage == "mark":
        (broken / "whole.json").write_text("[")
    assert settle(tmp_path) == [f"{broken}: not whole, so training does not go on from it"]
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-5"]


def test_without_the_best_so_far_nothing_goes_on(tmp_path: Path) -> None:
    _mark(_written(tmp_path, 5))
    _mark(_written(tmp_path, 10, best=5))
    assert settle(tmp_path) == []
    (tmp_path / "checkpoint-5" / "adapter_model.safetensors").unlink()
    assert len(settle(tmp_path)) == 2
    assert last_checkpoint(tmp_path) is None


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert settle(tmp_path / "trainer") == []
    assert last_checkpoint(tmp_path / "trainer") is None


@pytest.fixture
def trained_before(make_job: MakeJob, tmp_path: Path) -> str:
    """M_t: an adapter that is not that of the root model."""
    before = Watched(make_job(SFTConfig(batch_size=2, learning_rate=2e-2), [example(0)] * 8), tmp_path / "before")
    before.train()
    return str(before.out / "adapter")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "settings", "lora"),
    [
        ("sft", {}, {"dropout": 0.1}),
        ("dpo", {"disable_dropout": False}, {"dropout": 0.1}),
        ("dpo", {}, {"load_in_4bit": True}),
        ("dpo", {"learning_rate": 1e-4}, None),
        ("kto", {}, {}),
        ("cpo", {}, {}),
    ],
)
def test_a_killed_training_goes_on_as_if_it_never_had_been(
    make_job: MakeJob,
    happens: Happens,
    trained_before: str,
    tmp_path: Path,
    kind: str,
    settings: dict[str, Any],
    lora: dict[str, Any] | None,
) -> None:
    about = {"batch_size": 4, "micro_batch_size": 2, "epochs": 2, "learning_rate": 1e-2, "save_steps": 2, **settings}
    objective: Any = TypeAdapter(ObjectiveConfig).validate_python({"type": kind, **about})
    held = None if lora is None else LoraConfig(r=2, alpha=4, **lora)
    job = make_job(objective, rows_for(kind, 12), parent=trained_before, lora=held)
    whole = Watched(job, tmp_path / "whole")
    expected = whole.train()
    assert len(expected.steps) == 6
    cut = Watched(job, tmp_path / "cut")
    happens("kill:5")
    with pytest.raises(TrainingError, match="killed by signal 9"):
        cut.train()
    assert cut.seen[-1] == (5, 6)
    assert [p.name for p in (cut.out / "trainer").glob("checkpoint-*")] == ["checkpoint-4"]
    happens("")
    assert cut.train().steps == expected.steps
    assert cut.said == ["training goes on after step 4"]
    assert cut.seen[5:] == [(5, 6), (6, 6)]
    assert cut.weights == whole.weights
    assert cut.log == whole.log


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over_and_another_job_begins_anew(
    make_job: MakeJob, happens: Happens, tmp_path: Path
) -> None:
    job = make_job(DPOConfig(batch_size=2, epochs=2, learning_rate=1e-2, save_steps=1), [pair(n) for n in range(4)])
    training = Watched(job, tmp_path / "out")
    happens("kill:3")
    with pytest.raises(TrainingError):
        training.train()
    checkpoint = training.out / "trainer" / "checkpoint-3"
    (checkpoint / "optimizer.pt").write_bytes((checkpoint / "optimizer.pt").read_bytes()[:100])
    with pytest.raises(TrainingError):
        training.train()
    assert training.said == [f"{checkpoint}: not whole, so training does not go on from it"]
    assert training.seen[3] == (1, 4), "from the beginning"
    happens("")
    other = Watched(job, tmp_path / "out", key="other")
    other.train()
    assert (other.said, other.seen[0]) == ([], (1, 4))


@pytest.mark.slow
def test_no_checkpoint_is_written_of_what_is_no_number(make_job: MakeJob, tmp_path: Path) -> None:
    objective = SFTConfig(learning_rate=1e30, max_grad_norm=1e30, epochs=4, batch_size=1, save_steps=1)
    training = Watched(make_job(objective, [example(n) for n in range(4)]), tmp_path / "out")
    with pytest.raises(TrainingError, match="not a number in step"):
        training.train()
    (last,) = (training.out / "trainer").glob("checkpoint-*")
    assert step_of(last) < len(training.seen)
