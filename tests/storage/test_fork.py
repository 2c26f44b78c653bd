"""A fork shares what is finished, appears whole or not at all, and says what it cannot do."""

import os
from pathlib import Path

import pytest

from selfreward.errors import ConfigError, SelfRewardError, StoreError
from selfreward.setting_names import parse_overrides
from selfreward.storage import fork as forking
from selfreward.storage.fork import fork, fork_config
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify


def make(parent: RunStore, at: int = 1, name: str = "other", *overrides: str) -> RunStore:
    return fork(parent, at, fork_config(parent, at, parse_overrides(overrides), name))


def test_fork_shares_finished_iterations(finished_run: RunStore) -> None:
    made = make(finished_run)
    assert made.path == finished_run.path.parent / "other"
    assert made.iterations() == [0, 1]
    assert made.inherited_up_to == 1
    assert made.head["forked"] == {"run": "small", "at": 1}
    assert made.head["name"] == "other"
    assert verify(made.path) == []
    assert made.seal_of(1) == finished_run.seal_of(1)


def test_files_are_linked_and_stay_when_the_parent_goes(finished_run: RunStore) -> None:
    made = make(finished_run)
    name = "iter-001/pairs/00000.parquet"
    assert (made.path / name).samefile(finished_run.path / name)
    (finished_run.path / name).unlink()
    assert verify(made.path) == []


def test_files_are_copied_where_links_fail(finished_run: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    made = make(finished_run)
    assert verify(made.path) == []
    assert not (made.path / "run.json").samefile(finished_run.path / "run.json")


def test_fork_has_the_parents_settings_with_changes(finished_run: RunStore) -> None:
    config = make(finished_run, 1, "other", "train.beta=0.2", "judge.method.type=expected").config()
    assert (config.name, config.train.beta, config.judge.method.type) == ("other", 0.2, "expected")
    assert config.run_dir == finished_run.path.parent / "other"
    assert config.seeds == finished_run.config().seeds


@pytest.mark.parametrize(("at", "iterations"), [(0, 2), (1, 2), (2, 3)])
def test_fork_has_something_left_to_do(finished_run: RunStore, at: int, iterations: int) -> None:
    assert make(finished_run, at).config().iterations == iterations


def test_fork_of_a_fork(finished_run: RunStore) -> None:
    child = make(make(finished_run), 0, "third")
    assert child.head["forked"] == {"run": "other", "at": 0}
    assert verify(child.path) == []


def test_unfinished_iteration_is_refused(unfinished_run: RunStore) -> None:
    with pytest.raises(StoreError, match="iteration 3 is not finished"):
        make(unfinished_run, 3)


def test_unknown_iteration_is_refused(finished_run: RunStore) -> None:
    with pytest.raises(StoreError, match="no iteration 3; begun so far: 0, 1, 2"):
        make(finished_run, 5)


def test_existing_target_is_refused(finished_run: RunStore) -> None:
    with pytest.raises(StoreError, match="exists; choose another --name"):
        make(finished_run, 1, "small")


@pytest.mark.parametrize("override", ["lora.r=3", "model=elsewhere", "sft.enabled=false", "seeds.ift=null"])
def test_settings_that_iteration_0_has_used_are_refused(finished_run: RunStore, override: str) -> None:
    with pytest.raises(ConfigError, match=r"iteration 0|new prompts are written after examples"):
        make(finished_run, 1, "other", override)


def test_unknown_setting_is_refused(finished_run: RunStore) -> None:
    with pytest.raises(ConfigError, match="did you mean beta"):
        make(finished_run, 1, "other", "train.bta=1")


@pytest.mark.parametrize("name", ["../other", "a/b", ""])
def test_name_is_no_path(finished_run: RunStore, name: str) -> None:
    with pytest.raises(ConfigError, match="plain name"):
        make(finished_run, 1, name)


def test_nothing_is_left_of_a_fork_that_failed(finished_run: RunStore) -> None:
    (finished_run.path / "iter-001" / "adapter" / "adapter_model.safetensors").unlink()
    before = sorted(finished_run.path.parent.iterdir())
    with pytest.raises(StoreError, match=r"adapter_model\.safetensors: missing"):
        make(finished_run)
    assert sorted(finished_run.path.parent.iterdir()) == before


def test_somebody_who_was_faster_loses_nothing(finished_run: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    share = forking._share

    def share_late(iteration: object, made: Path) -> None:
        share(iteration, made)  # type: ignore[arg-type]
        theirs = finished_run.path.parent / "other"
        theirs.mkdir(exist_ok=True)
        (theirs / "run.json").write_text("theirs", encoding="utf-8")

    monkeypatch.setattr(forking, "_share", share_late)
    with pytest.raises(SelfRewardError, match="cannot be written"):
        make(finished_run)
    assert (finished_run.path.parent / "other" / "run.json").read_text(encoding="utf-8") == "theirs"
