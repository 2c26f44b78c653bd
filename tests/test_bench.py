"""The benchmarks run, at their smallest, and say what they found. How fast anything is, is no matter of tests."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bench
import gpu_check
from benchmarks import MEASUREMENTS, batching, judging, pipeline, training, viewer, vllm_engine
from benchmarks.alone import measure_alone, measure_here, title
from benchmarks.measured import Absent, Figure, Measured, Setting
from benchmarks.report import table
from benchmarks.turns import Work, ratio, take_turns
from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Engine
from selfreward.engines.vllm_checks import vllm_is_installed

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def setting(tiny_model: Path, tmp_path: Path) -> Setting:
    return Setting(str(tiny_model), tmp_path, tiny=True)


def check(measured: Measured, *parts: str) -> dict[str, Any]:
    """What every measurement gives; its details."""
    found: dict[str, Any] = json.loads(json.dumps(measured.as_json()))
    assert found["figures"]
    for figure in found["figures"]:
        assert set(figure) == {"what", "value", "unit", "target", "bound", "reached"}
        assert figure["value"] > 0
        assert (figure["reached"] is None) == (figure["target"] is None)
    assert any(figure["target"] for figure in found["figures"])
    details: dict[str, Any] = found["details"]
    assert set(parts) <= set(details)
    return details


# --- each measurement -------------------------------------------------------------------------------------------------


def test_pipeline(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(own: Setting, responses: int) -> dict[str, Any]:
        return pipeline.run(own.model, own.scratch, responses)

    monkeypatch.setattr(pipeline, "_in_fresh_process", here)
    runs = check(pipeline.measure(setting), "n", "judgments_per_response", "runs")["runs"]
    for run in runs:
        assert run["judgments"] == 3 * run["responses"]
        assert 0 < run["pairs"] <= run["responses"] / 4
        assert run["response_tokens"] > 50
        assert run["seconds"] > 0
        assert run["peak_gib"] > 0
    assert runs[0]["responses"] < runs[-1]["responses"]


@pytest.mark.slow
def test_pipeline_in_a_process_of_its_own(setting: Setting) -> None:
    found = measure_alone("pipeline", setting)
    assert found["title"] == pipeline.TITLE
    assert found["figures"]


@pytest.mark.slow
def test_viewer(setting: Setting) -> None:
    pages = check(viewer.measure(setting), "run", "pages", "peak_gib")["pages"]
    assert {"runs", "a run", "an iteration", "a pair", "compared"} <= set(pages)
    assert all(page["requests"] == 5 and page["first_ms"] > 0 for page in pages.values())


def test_batching(setting: Setting) -> None:
    details = check(batching.measure(setting), "responses", "tokens_per_response", "shards")
    shards = details["shards"]
    assert set(shards) == {"written", "judged", "written_alone", "judged_alone", "by_n"}
    assert all(work["amount"] > 0 for works in shards.values() for work in works)
    assert shards["judged"][0]["amount"] == details["responses"]


def test_judging(setting: Setting) -> None:
    details = check(judging.measure(setting), "expected", "sampled", "ratios", "readable_rationales")
    assert [work["amount"] for work in details["expected"]] == [work["amount"] for work in details["sampled"]]


@pytest.mark.slow
def test_training(setting: Setting) -> None:
    details = check(training.measure(setting), "ours", "straight", "ratios", "peak_gib", "model_gib")
    assert [work["amount"] for work in details["ours"]] == [work["amount"] for work in details["straight"]] == [2]
    assert {side: len(found) for side, found in details["peak_gib"].items()} == dict.fromkeys(training.SIDES, 1)


class Straight:
    """In the place of ``vllm.LLM``."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def do(self, requests: list[Any]) -> Work:
        self.asked.append(len(requests))
        return Work(1, 1)


def test_vllm_with_stubs(chat: Chat, fake_engine: Callable[..., Engine], setting: Setting) -> None:
    engine = fake_engine(chat, logprobs=lambda request: [-2.0] * 6)
    straight = Straight()
    size = vllm_engine.Size(prompts=3, shard=2, n=2, max_tokens=4, judged=3, max_num_seqs=8)
    rounds = vllm_engine.compare(vllm_engine.work(engine, size), engine, straight, setting)  # type: ignore[arg-type]
    assert list(rounds) == ["generation", "expected-score judging", "sampled judging"]
    assert straight.asked == [3, 3, 3, 3, 1, 1]  # a round to warm up, and one that counts
    ours = {what: found[0][0].amount for what, found in rounds.items()}
    fine = len(chat.plain_ids("Fine.")) + 1
    assert ours["generation"] == 3 * 2 * fine
    assert ours["sampled judging"] == 3 * fine
    assert ours["expected-score judging"] > 300  # tokens that were read


def test_without_vllm_it_is_skipped_with_the_reason(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_engine, "vllm_is_installed", lambda: False)
    found = measure_here("vllm", setting)
    assert found == {"title": vllm_engine.TITLE, "skipped": "vLLM is not installed here"}


@pytest.mark.slow
@pytest.mark.skipif(not vllm_is_installed(), reason="vLLM is not installed here (see scripts/setup.sh)")
@pytest.mark.usefixtures("the_only_vllm")
def test_vllm(builtin_model: Path, tmp_path: Path) -> None:
    details = check(vllm_engine.measure(Setting(str(builtin_model), tmp_path, tiny=True)), "size", "rounds")
    read = details["rounds"]["expected-score judging"]
    assert read["engine"][0]["amount"] == read["straight"][0]["amount"]


# --- what they share --------------------------------------------------------------------------------------------------


def test_a_measurement_that_measured_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a figure"):
        Measured([]).as_json()


def test_a_figure_knows_whether_it_was_reached() -> None:
    assert Figure("a", 0.98, "x", 0.97).reached is True
    assert Figure("a", 0.96, "x", 0.97).reached is False
    assert Figure("a", 61, "s", 60, "at most").reached is False
    assert Figure("a", 1.0).reached is None


def test_sides_take_turns_and_the_middle_ratio_counts(setting: Setting) -> None:
    order: list[str] = []

    def side(name: str, rates: list[float]) -> Callable[[int], Work]:
        def work(number: int) -> Work:
            order.append(f"{name}{number}")
            return Work(rates[number], 1)

        return work

    usual = Setting(setting.model, setting.scratch)
    rounds = take_turns(side("a", [2, 30, 4]), side("b", [1, 1, 2]), usual, 3)
    assert order == ["a0", "b0", "b1", "a1", "a2", "b2"]
    assert ratio(rounds) == 2


def test_no_round_is_begun_that_would_not_end_in_time(setting: Setting) -> None:
    late = Setting(setting.model, setting.scratch, repeats=5, deadline=0.0)
    assert len(take_turns(lambda _: Work(1, 1), lambda _: Work(1, 1), late, 3)) == 1


def test_a_setting_survives_the_way_to_another_process(setting: Setting) -> None:
    assert Setting.from_json(json.loads(json.dumps(setting.as_json()))) == setting
    timed = Setting.from_json(Setting("m", Path("x"), deadline=0.0).as_json())
    assert timed.seconds_left() < 0


def test_what_is_not_done_in_time_is_said_to_be_so(setting: Setting) -> None:
    found = measure_alone("batching", Setting(setting.model, setting.scratch, tiny=True, deadline=0.0))
    assert found["failed"] == "was not done in time"


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement_has_a_title_and_a_place_in_the_docs(name: str) -> None:
    assert title(name)
    assert f"**{name}**" in (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


# --- the two scripts --------------------------------------------------------------------------------------------------


def test_bench_goes_on_where_something_is_absent(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(name: str, setting: Setting) -> dict[str, Any]:
        if name == "vllm":
            return {"title": "t", "skipped": "no vLLM"}
        if name == "judging":
            return {"title": "t", "failed": "ended with status 1"}
        return {"title": "t", **Measured([Figure("f", 2.0, "x", 1.0)]).as_json()}

    monkeypatch.setattr(bench, "measure_alone", measure)
    path = tmp_path / "bench.json"
    assert bench.main(["--json", str(path), "--model", str(tiny_model)]) == 1
    report = json.loads(path.read_text(encoding="utf-8"))
    assert set(report) == {"started", "model", "tiny", "machine", "measurements", "command"}
    assert list(report["measurements"]) == list(MEASUREMENTS)
    assert {"cpu", "cores", "memory_gib", "gpu", "versions", "load_average", "git"} <= set(report["machine"])
    printed = capsys.readouterr().out
    assert "no vLLM" in printed
    assert "ended with status 1" in printed
    assert "| at least 1.000x | yes" in printed
    assert bench.main(["--json", str(path), "--model", str(tiny_model), "vllm", "pipeline"]) == 0


def test_absent_is_no_failure(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(setting: Setting) -> Measured:
        raise Absent("not here")

    monkeypatch.setattr(judging, "measure", measure)
    assert measure_here("judging", setting)["skipped"] == "not here"


def test_a_table_has_a_row_for_each_figure() -> None:
    found = {"a": {"title": "t", **Measured([Figure("one", 1.0), Figure("two", 70, "s", 60, "at most")]).as_json()}}
    lines = table(found).splitlines()
    assert len(lines) == 5
    assert [cell.strip() for cell in lines[-1].split("|")[1:-1]] == ["two", "70.0 s", "at most 60.0 s", "no"]
    assert len({len(line) for line in lines}) == 1


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What gpu_check changes in its own process is put back."""
    for name in ("HF_HUB_OFFLINE", "PYTHONPATH", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.mark.usefixtures("surroundings")
def test_gpu_check_says_where_there_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu_check.main([]) == 2
    assert "no GPU here" in capsys.readouterr().err
    assert gpu_check.main(["--needs"]) == 0
    monkeypatch.setattr(gpu_check, "_NEEDS", ("torch", "no_such_package"))
    assert gpu_check.main([]) == 2
    assert "missing packages: no_such_package" in capsys.readouterr().err


@pytest.mark.usefixtures("surroundings")
def test_gpu_check_measures_what_there_is_in_the_time_there_is(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = []

    def measure(name: str, setting: Setting) -> dict[str, Any]:
        settings.append((name, setting))
        return {"title": name, **Measured([Figure("f", 2.0)]).as_json()}

    monkeypatch.setattr("benchmarks.alone.measure_alone", measure)
    arguments = ["--cpu", "--tiny", "--engine", "transformers", "--model", str(tiny_model), "--seconds", "100"]
    assert gpu_check.main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["measurements"]) == ["batching", "judging"]
    assert report["random_weights"] is False
    assert [setting.engine["type"] for _, setting in settings] == ["transformers", "transformers"]
    assert all(setting.tiny and setting.seconds_left() < 60 for _, setting in settings)
    assert gpu_check.main([*arguments, "--engine", "vllm"]) == 0
    assert [name for name, _ in settings[2:]] == ["vllm", "judging"]


def test_a_model_without_weights_is_given_some(tiny_model: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tiny_model, bare, ignore=shutil.ignore_patterns("*.safetensors"))
    path, random = gpu_check._model(str(bare), tmp_path)
    assert random
    assert list(Path(path).glob("*.safetensors"))
    assert gpu_check._model(str(tiny_model), tmp_path) == (str(tiny_model), False)
