"""Several processes through the user's Accelerate config: the curve of one, and none outlives the others."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from training_jobs import MakeJob, Watched, example, rows_for

from selfreward.errors import ConfigError, TrainingError
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import OptimiserConfig
from selfreward.objectives.sft import SFTConfig
from selfreward.training.job import TrainingJob
from selfreward.training.launching import check_batches, command, processes_of, take_device
from selfreward.training.process import train

TWO = {
    "compute_environment": "LOCAL_MACHINE",
    "distributed_type": "MULTI_GPU",  # launched through torch.distributed, and the CPU's processes talk through gloo
    "use_cpu": True,
    "num_processes": 2,
    "num_machines": 1,
}


@pytest.fixture
def two(tmp_path: Path) -> str:
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(TWO))
    return str(path)


def test_one_process_needs_no_launcher(tmp_path: Path) -> None:
    assert command("m", tmp_path, None) == [sys.executable, "-m", "m", str(tmp_path)]
    assert processes_of(None) == 1
    check_batches(None, {"sft": OptimiserConfig()})


def test_the_users_config_launches(two: str, tmp_path: Path) -> None:
    found = command("m", tmp_path, two)
    assert found[1:] == [
        *("-m", "accelerate.commands.launch", "--config_file", two, "--main_process_port", "0", "--module", "m"),
        str(tmp_path),
    ]
    Path(two).write_text(yaml.safe_dump({**TWO, "main_process_port": 29501}))
    assert "--main_process_port" not in command("m", tmp_path, two)
    assert processes_of(two) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file"),
        ("a: [", "not YAML"),
        ("\udce4", "not YAML"),
        ("just words", "accelerate config --config_file"),
        ("num_machines: 1", "num_processes is None"),
        ("num_processes: many", "num_processes is 'many'"),
        ("num_processes: 8\nnum_machines: 2", "num_machines is 2"),
        ("num_processes: 2\ndistributed_type: NO", "with distributed_type NO `accelerate launch` starts one"),
        ("num_processes: 2\ndistributed_type: MULTI_CPU", "take MULTI_GPU.*use_cpu: true"),
        ("num_processes: 2\ndistributed_type: FSDP\nuse_cpu: true", "with use_cpu: true FSDP would quietly"),
        ("num_processes: 1\ndistributed_type: DEEPSPEED\nuse_cpu: true", "with use_cpu: true DEEPSPEED would quietly"),
    ],
)
def test_configs_that_cannot_be_used(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "a.yaml"
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=says):
        processes_of(str(path))


def test_batches_that_processes_cannot_share_are_refused_before_a_run(two: str) -> None:
    check_batches(two, {"sft": OptimiserConfig(batch_size=2), "train": DPOConfig(batch_size=6, micro_batch_size=3)})
    with pytest.raises(ConfigError, match=r"train\.batch_size=5 cannot be shared by 2 processes; .*two\.yaml"):
        check_batches(two, {"sft": OptimiserConfig(), "train": DPOConfig(batch_size=5)})


def test_one_process_sees_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    take_device()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    take_device()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "held"), [("sft", {}), ("dpo", {}), ("dpo", {"lora": None})], ids=["sft", "dpo", "dpo of all weights"]
)
def test_two_processes_learn_as_one_does(
    make_job: MakeJob, two: str, tmp_path: Path, kind: str, held: dict[str, Any]
) -> None:
    objective: Any = {"sft": SFTConfig, "dpo": DPOConfig}[kind](
        batch_size=4, micro_batch_size=1, epochs=2, learning_rate=1e-2
    )
    job = make_job(objective, rows_for(kind, 12), **held)
    one = Watched(job, tmp_path / "one")
    both = Watched(job.model_copy(update={"accelerate_config": two}), tmp_path / "both")
    expected, found = one.train(), both.train()
    assert both.seen == one.seen == [(n, 6) for n in range(1, 7)], "one of them speaks"
    assert found.counts == expected.counts
    assert [s["loss"] for s in found.steps] == pytest.approx([s["loss"] for s in expected.steps], rel=1e-3)
    assert [s["grad_norm"] for s in found.steps] == pytest.approx([s["grad_norm"] for s in expected.steps], rel=1e-2)
    assert len({s["loss"] for s in found.steps}) == 6


@pytest.mark.slow
def test_a_batch_that_comes_out_otherwise_is_refused_in_the_process(
    make_job: MakeJob, two: str, tmp_path: Path
) -> None:
    job = make_job(SFTConfig(batch_size=3), [example(0)] * 3, accelerate_config=two)
    with pytest.raises(TrainingError, match=r"sft\.batch_size=3 cannot be shared by 2 processes"):
        Watched(job, tmp_path / "out").train()


@pytest.mark.slow
def test_what_one_of_them_fails_of_is_what_is_said(
    make_job: MakeJob, two: str, tmp_path: Path, happens: Callable[[str], None]
) -> None:
    happens("crash:1")
    job = make_job(SFTConfig(batch_size=2, epochs=4), [example(0)] * 4, accelerate_config=two)
    with pytest.raises(TrainingError, match=r"ended with status 1 \(IndexError: the second process is at fault\)"):
        Watched(job, tmp_path / "out").train()
    assert _alive(tmp_path / "out") == []


@pytest.mark.slow
def test_a_killed_process_may_have_lacked_memory(
    make_job: MakeJob, two: str, tmp_path: Path, happens: Callable[[str], None]
) -> None:
    happens("kill:1")
    job = make_job(SFTConfig(batch_size=2), [example(0)] * 4, accelerate_config=two)
    with pytest.raises(TrainingError, match=r"may be out of memory: try a smaller sft\.micro_batch_size"):
        Watched(job, tmp_path / "out").train()


@pytest.mark.slow
def test_none_outlives_a_killed_launcher(make_job: MakeJob, two: str, tmp_path: Path) -> None:
    before = set(psutil.Process().children())  # a browser that other tests started, for one

    def kill(step: int, steps: int) -> None:
        (launcher,) = set(psutil.Process().children()) - before
        launcher.kill()

    with pytest.raises(TrainingError, match="was killed by signal 9"):
        train(_endless(make_job, two), "k", tmp_path / "out", kill, print)
    assert _alive(tmp_path / "out") == []


@pytest.mark.slow
def test_none_outlives_a_killed_parent(make_job: MakeJob, two: str, tmp_path: Path) -> None:
    out, job = tmp_path / "out", tmp_path / "parent.json"
    job.write_text(_endless(make_job, two).model_dump_json())
    code = (
        "import sys; from pathlib import Path; from selfreward.training.job import TrainingJob\n"
        "from selfreward.training.process import train\n"
        f"job = TrainingJob.model_validate_json(Path({str(job)!r}).read_text())\n"
        f"train(job, 'k', Path({str(out)!r}), lambda *step: print(step, flush=True), print)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "(1, 20000)\n"
        assert len(_alive(out, wait=0)) == 3, "the launcher and two of them"
        parent.send_signal(signal.SIGKILL)
    assert _alive(out) == []


def _endless(make_job: MakeJob, two: str) -> TrainingJob:
    objective = SFTConfig(batch_size=2, epochs=10000, save_steps=None)
    return make_job(objective, [example(0)] * 4, accelerate_config=two)


def _alive(out: Path, wait: float = 30) -> list[psutil.Process]:
    """Processes of a training, after a moment's grace."""
    mine = [p for p in psutil.process_iter(["cmdline"]) if str(out) in (p.info["cmdline"] or ())]
    return psutil.wait_procs(mine, timeout=wait)[1]
