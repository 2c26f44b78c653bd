"""Memory that runs out, and losses that explode."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from training_jobs import MakeJob, Watched, pair, rows_for

from selfreward.errors import TrainingError
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.kto import KTOConfig
from selfreward.objectives.sft import SFTConfig
from selfreward.training.process import _out_of_memory, _sizes

Happens = Callable[[str], None]


@pytest.mark.parametrize(
    ("batch", "before", "expected"),
    [(16, {}, [16, 8, 4, 2, 1]), (12, {}, [12, 6, 3, 1]), (16, {"objective": {"micro_batch_size": 4}}, [4, 2, 1])],
)
def test_auto_begins_with_all_and_halves(
    make_job: MakeJob, batch: int, before: dict[str, Any], expected: list[int]
) -> None:
    job = make_job(SFTConfig(batch_size=batch, micro_batch_size="auto"), rows_for("sft", 1))
    assert _sizes(job, before) == expected


def test_kto_never_takes_one_at_a_time(make_job: MakeJob) -> None:
    assert _sizes(make_job(KTOConfig(batch_size=8, micro_batch_size="auto"), rows_for("kto", 1)), {}) == [8, 4, 2]


def test_less_at_once_is_said_as_batches_of_tokens_take_it(make_job: MakeJob) -> None:
    job = make_job(DPOConfig(batch_tokens=1000, micro_batch_size=4), [pair(1)])
    said = _out_of_memory(job, 4)
    assert said.endswith("run the same command again with --set train.micro_batch_size=2")


@pytest.mark.slow
def test_less_at_once_where_memory_runs_out_and_the_same_batch(
    make_job: MakeJob, happens: Happens, tmp_path: Path
) -> None:
    about: dict[str, Any] = {"batch_size": 8, "epochs": 2, "learning_rate": 1e-2, "save_steps": 1}
    rows = [pair(n) for n in range(16)]
    expected = Watched(make_job(DPOConfig(**about, micro_batch_size=2), rows), tmp_path / "expected").train()
    happens("memory:2")
    found = Watched(make_job(DPOConfig(**about, micro_batch_size="auto"), rows), tmp_path / "found")
    result = found.train()
    assert found.said == [
        "out of memory in training with train.micro_batch_size=8; it goes on with less at once",
        "training goes on after step 2",
        "out of memory in training with train.micro_batch_size=4; it goes on with less at once",
        "training goes on after step 2",
    ]
    assert found.seen == [(n, 4) for n in range(1, 5)]
    for name in ("loss", "grad_norm", "rewards/margins"):
        assert [s[name] for s in result.steps] == pytest.approx([s[name] for s in expected.steps], rel=1e-3, abs=1e-6)


def test_a_directory_that_cannot_be_written(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"could not write: Not a directory \(.*/file/out\)\. Finished"):
        Watched(make_job(SFTConfig(), rows_for("sft", 1)), tmp_path / "file" / "out").train()


@pytest.mark.slow
def test_memory_may_run_out_where_the_reference_is_asked(make_job: MakeJob, happens: Happens, tmp_path: Path) -> None:
    happens("reference:2")
    objective = DPOConfig(batch_size=4, micro_batch_size="auto", epochs=2)  # with two epochs it is asked beforehand
    found = Watched(make_job(objective, [pair(n) for n in range(4)]), tmp_path / "found")
    assert len(found.train().steps) == 2
    assert found.said == ["out of memory in training with train.micro_batch_size=4; it goes on with less at once"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "left", "whole", "says"),
    [
        (4, 2, False, r"with train\.micro_batch_size=4; .*--set train\.micro_batch_size=auto, or a number below 4"),
        ("auto", 0, False, r"with train\.micro_batch_size=1; .*a lower train\.max_length, .* or lora\.load_in_4bit$"),
        ("auto", 0, True, r"with train\.micro_batch_size=1; .* or an adapter \(lora\) instead of all weights$"),
    ],
)
def test_out_of_memory_for_good_says_what_to_change(
    make_job: MakeJob, happens: Happens, tmp_path: Path, size: Any, left: int, whole: bool, says: str
) -> None:
    happens(f"memory:{left}")
    objective = DPOConfig(batch_size=4 if left else 1, micro_batch_size=size, epochs=3)
    job = make_job(objective, [pair(n) for n in range(objective.batch_size)], **({"lora": None} if whole else {}))
    with pytest.raises(TrainingError, match=says):
        Watched(job, tmp_path / "out").train()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dpo", "kto", "cpo", "simpo", "orpo", "sft"])
def test_every_objective_stops_where_it_explodes(make_job: MakeJob, tmp_path: Path, kind: str) -> None:
    about = {"batch_size": 2, "epochs": 8, "learning_rate": 1e30, "max_grad_norm": 1e30}
    objective: Any = TypeAdapter(ObjectiveConfig).validate_python({"type": kind, **about})
    training = Watched(make_job(objective, rows_for(kind, 8)), tmp_path / "out")
    with pytest.raises(TrainingError, match=r"not a number in step \d+; try a lower \w+\.learning_rate"):
        training.train()
    assert len(training.seen) < 32, "it stops where it goes wrong"
    assert not (training.out / "adapter").exists()


@pytest.mark.slow
def test_a_gradient_that_explodes_stops(make_job: MakeJob, happens: Happens, tmp_path: Path) -> None:
    happens("explode:12")
    objective = DPOConfig(batch_size=2, micro_batch_size=2, epochs=10)
    training = Watched(make_job(objective, [pair(n) for n in range(4)]), tmp_path / "out")
    with pytest.raises(
        TrainingError, match=r"the gradient exploded: .* of 15 steps .*try a lower train\.learning_rate"
    ):
        training.train()
    assert len(training.seen) == 15, "of 20: it stops where it goes wrong"
    assert not (training.out / "adapter").exists()
