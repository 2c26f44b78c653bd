"""Adapters of several steps: when they are saved, and that a training which was cut off has the same ones."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from training_jobs import MakeJob, Watched, rows_for

from selfreward.errors import TrainingError
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import KeepBestConfig
from selfreward.training.candidates import candidate, candidate_saver

ABOUT: dict[str, Any] = {"batch_size": 4, "micro_batch_size": 2, "epochs": 2, "learning_rate": 1e-2, "save_steps": 2}
BY_JUDGE = DPOConfig(keep_best=KeepBestConfig(by="judge", eval_steps=2), **ABOUT)


def _write(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    (path / "adapter_model.safetensors").write_bytes(b"weights")


def _state(step: int, last: int = 5, *, first: bool = True) -> Any:
    return SimpleNamespace(global_step=step, max_steps=last, is_world_process_zero=first)


def _steps(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*"))


def test_every_so_many_steps_and_the_last(tmp_path: Path) -> None:
    saver = candidate_saver(tmp_path, 2, _write)
    for step in range(1, 6):
        saver.on_step_end(None, _state(step), None)
    assert _steps(tmp_path) == ["step-2", "step-4", "step-5"]


def test_what_is_later_than_a_checkpoint_is_written_again(tmp_path: Path) -> None:
    for step in (2, 4, 10):
        _write(candidate(tmp_path, step))
    saver = candidate_saver(tmp_path, 2, _write)
    saver.on_train_begin(None, _state(4, first=False), None)
    assert _steps(tmp_path) == ["step-10", "step-2", "step-4"], "the first process sees to it"
    saver.on_train_begin(None, _state(4), None)
    assert _steps(tmp_path) == ["step-2", "step-4"]
    saver.on_train_begin(None, _state(0), None)
    assert _steps(tmp_path) == []


def test_all_processes_take_part_in_saving(tmp_path: Path) -> None:
    asked: list[Path] = []
    saver = candidate_saver(tmp_path, 1, asked.append)
    saver.on_step_end(None, _state(1, first=False), None)
    assert asked == [tmp_path / "step-1"]


def _weights(training: Watched) -> dict[str, bytes]:
    found = sorted((training.out / "candidates").glob("step-*/*"))
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in found}


@pytest.mark.slow
def test_nothing_is_held_out_and_the_last_candidate_is_what_training_comes_to(
    make_job: MakeJob, tmp_path: Path
) -> None:
    rows = rows_for("dpo", 10)  # 3 steps a pass
    chosen = Watched(make_job(BY_JUDGE, rows), tmp_path / "chosen")
    result = chosen.train()
    plain = Watched(make_job(DPOConfig(**ABOUT), rows), tmp_path / "plain")
    assert plain.train().steps == result.steps
    assert (result.counts["rows"], "held_out" in result.counts, result.candidates, result.kept_step) == (
        10,
        False,
        [],
        None,
    )
    found = _weights(chosen)
    assert {name.partition("/")[0] for name in found} == {"step-2", "step-4", "step-6"}
    assert {name.partition("/")[2] for name in found} == {"adapter_config.json", "adapter_model.safetensors"}
    assert found["step-6/adapter_model.safetensors"] == plain.weights
    assert found["step-2/adapter_model.safetensors"] != plain.weights
    assert not (chosen.out / "adapter").exists()
    assert plain.log == chosen.log


@pytest.mark.slow
def test_a_killed_training_has_the_candidates_of_one_that_never_was(
    make_job: MakeJob, happens: Callable[[str], None], tmp_path: Path
) -> None:
    best = KeepBestConfig(by="judge", eval_steps=1)
    objective = BY_JUDGE.model_copy(update={"keep_best": best})
    whole = Watched(make_job(objective, rows_for("dpo", 12)), tmp_path / "whole")
    whole.train()
    cut = Watched(whole.job, tmp_path / "cut")
    happens("kill:5")
    with pytest.raises(TrainingError, match="killed by signal 9"):
        cut.train()
    late = cut.out / "candidates" / "step-5" / "adapter_model.safetensors"
    late.write_bytes(late.read_bytes()[:100])  # as if it had been killed while it wrote
    happens("")
    cut.train()
    assert cut.said == ["training goes on after step 4"]
    assert _weights(cut) == _weights(whole)
    assert len(_weights(cut)) == 2 * 6


@pytest.mark.slow
def test_two_processes_save_what_one_does(make_job: MakeJob, tmp_path: Path) -> None:
    from safetensors.numpy import load

    config = tmp_path / "two.yaml"
    two = {"distributed_type": "MULTI_GPU", "use_cpu": True, "num_processes": 2, "num_machines": 1}
    config.write_text(yaml.safe_dump({"compute_environment": "LOCAL_MACHINE", **two}), encoding="utf-8")
    objective = BY_JUDGE.model_copy(update={"micro_batch_size": 1})
    job = make_job(objective, rows_for("dpo", 12))
    one = Watched(job, tmp_path / "one")
    both = Watched(job.model_copy(update={"accelerate_config": str(config)}), tmp_path / "both")
    one.train()
    both.train()
    expected, found = _weights(one), _weights(both)
    assert list(found) == list(expected)
    for name in found:
        if name.endswith(".safetensors"):
            ours, theirs = load(found[name]), load(expected[name])
            assert ours.keys() == theirs.keys()
            assert all(abs(ours[part] - theirs[part]).max() < 1e-3 for part in ours)
