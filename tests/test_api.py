"""Runs from Python."""

from pathlib import Path

import pytest

import selfreward
from selfreward import RunConfig, load_config, loop, open_run, run
from selfreward.errors import StoreError
from selfreward.resources import find
from selfreward.storage.run import RunStore


def test_datasets_have_every_record(finished_run: RunStore) -> None:
    iteration = open_run(finished_run.path).iteration(2)
    assert len(iteration.prompts) == 3
    assert len(iteration.responses) == 9
    assert len(iteration.judgments) == 18
    (pair,) = iteration.pairs
    assert pair["chosen"] == [{"role": "assistant", "content": pair["chosen"][0]["content"]}]
    assert {"prompt", "chosen", "rejected", "margin"} <= set(iteration.pairs.column_names)
    assert iteration.judgments["score"][1] is None


def test_pairs_are_what_load_dataset_gives(finished_run: RunStore, tmp_path: Path) -> None:
    import datasets

    files = [str(path) for path in sorted((finished_run.path / "iter-001" / "pairs").glob("*.parquet"))]
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    opened = open_run(finished_run.path).iteration(1).pairs
    assert loaded.features == opened.features
    assert list(loaded) == list(opened)


def test_metrics_adapter_manifest(finished_run: RunStore) -> None:
    opened = open_run(str(finished_run.path))
    assert opened.iterations == [0, 1, 2]
    assert opened.path == finished_run.path
    assert opened.config.name == "small"
    iteration = opened.iteration(1)
    assert iteration.number == iteration.metrics["iteration"] == 1
    assert iteration.weights == finished_run.path / "iter-001" / "adapter"
    assert iteration.manifest.stages["adapter"].summary["loss"]["first"] == 0.69


def test_unfinished_stages_are_not_given_out(unfinished_run: RunStore) -> None:
    iteration = open_run(unfinished_run.path).iteration(3)
    asks = {"weights": "adapter"} | {name: name for name in ("prompts", "responses", "pairs", "metrics")}
    for ask, stage in asks.items():
        with pytest.raises(StoreError, match=f"has no finished {stage}; finished is: nothing"):
            getattr(iteration, ask)


def test_run_by_name(finished_run: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished_run.path.parent.parent)
    assert open_run("small").iterations == [0, 1, 2]
    with pytest.raises(StoreError, match="did you mean small"):
        open_run("smal")


@pytest.mark.parametrize(("name", "made"), [(None, "run"), ("mine", "mine")])
def test_run_names_what_has_no_name(
    name: str | None, made: str, finished_run: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[RunConfig] = []

    def instead(config: RunConfig) -> RunStore:
        started.append(config)
        return finished_run

    monkeypatch.setattr(loop, "run", instead)
    config = load_config(find("recipes", "demo.yaml")).model_copy(update={"name": name})
    assert run(config).path == finished_run.path
    assert [config.name for config in started] == [made]


def test_package_offers_what_it_names() -> None:
    assert {name: getattr(selfreward, name).__name__ for name in selfreward.__all__} == {
        "RunConfig": "RunConfig",
        "load_config": "load_config",
        "open_run": "open_run",
        "run": "run",
    }
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = selfreward.nothing
