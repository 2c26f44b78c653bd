import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selfreward.config import make_config
from selfreward.errors import StoreError
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.records import Prompt, key_settings
from selfreward.stages.shard import Shard
from selfreward.storage.iteration import IterationStore, StageKey
from selfreward.storage.run import RunStore, lock_run
from selfreward.storage.verify import verify
from selfreward.training.job import ADAPTER, CANDIDATES, MODEL

CONFIG = make_config({"name": "r", "model": "m", "prompts": {"file": "p.txt"}}, {}, "test")


def _about() -> dict[str, Any]:
    return {"config": {}, "model": {}, "templates": {}, "environment": {}}


def _key(**settings: Any) -> StageKey:
    return StageKey(1, {"prompts": settings}, {"model": "abc"})


def _shard(*texts: str) -> Shard[Prompt]:
    return Shard([Prompt(id=f"p-{t}", text=t, iteration=1) for t in texts], len(texts), Counter(asked=len(texts)))


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    (tmp_path / "r").mkdir()
    store = RunStore.create(tmp_path / "r")
    store.save_config(CONFIG)
    store.events().write("run_started")
    return store


@pytest.fixture
def iteration(run: RunStore) -> IterationStore:
    it = run.begin_iteration(0, _about)
    it.begin("prompts", _key(count=3))
    it.add_shard("prompts", _shard("a", "b"), Prompt, seconds=1.5)
    return it


def test_no_key_depends_on_what_holds_times(iteration: IterationStore) -> None:
    digests = []
    for seconds in ("1.0", "2.0"):
        for name, text in (("log", "same"), ("cost", seconds)):
            (iteration.path / f".tmp-{name}").write_text(text)
        made = {name: iteration.path / f".tmp-{name}" for name in ("log", "cost")}
        iteration.begin("adapter", _key())
        iteration.finish_with_files("adapter", made, counts={}, seconds=1.0, summary={}, timings={"cost"})
        digests.append(iteration.manifest.stages["adapter"].digest)
        iteration.forget("adapter")
    assert digests[0] == digests[1]


def test_a_stage_goes_on_after_its_last_shard(run: RunStore, iteration: IterationStore) -> None:
    again = run.iteration(0)
    entry = again.begin("prompts", _key(count=3))
    assert (entry.rows, entry.inputs_done, entry.finished) == (2, 2, False)
    again.add_shard("prompts", _shard("c"), Prompt, seconds=0.5)
    again.finish("prompts")
    stored = run.iteration(0).stored("prompts", Prompt)
    assert [p.text for p in stored.records()] == ["a", "b", "c"]
    assert [len(shard) for shard in stored.shards()] == [2, 1]
    assert stored.entry.counts == {"asked": 3}
    assert stored.entry.seconds == 2.0
    assert stored.entry.finished


def test_changed_settings_inputs_and_versions_are_named(run: RunStore, iteration: IterationStore) -> None:
    with pytest.raises(StoreError, match=r"prompts\.count: 3 -> 4(.|\n)*--name NEW$"):
        iteration.begin("prompts", _key(count=4))
    later = run.begin_iteration(1, _about)
    later.begin("prompts", _key(count=3))
    later.add_shard("prompts", _shard("x"), Prompt, seconds=0)
    with pytest.raises(StoreError, match=r"prompts\.count: 3 -> 4(.|\n)*--name NEW(.|\n)*fork \S*/r --at 0 "):
        later.begin("prompts", _key(count=4))
    with pytest.raises(StoreError, match="model: its content has changed"):
        iteration.begin("prompts", StageKey(1, {"prompts": {"count": 3}}, {"model": "other"}))
    with pytest.raises(StoreError, match=r"1 -> 2"):
        iteration.begin("prompts", StageKey(2, {"prompts": {"count": 3}}, {"model": "abc"}))


def test_a_setting_that_came_to_be_later_was_at_its_default(run: RunStore) -> None:
    """Keys of an earlier version lack it, at any depth and of whichever type a section is."""
    it = run.begin_iteration(0, _about)
    lora = LoraConfig()
    now = {"seed": 0, "train": key_settings(DPOConfig()), "lora": key_settings(lora), "prompts": {"count": 2}}
    before = json.loads(json.dumps(now))
    for section, name in (("train", "weight_decay"), ("train", "lr_scheduler"), ("lora", "use_dora")):
        del before[section][name]
    it.begin("adapter", StageKey(1, before, {}))
    it.add_shard("adapter", _shard("a"), Prompt, seconds=0.0)
    assert it.begin("adapter", StageKey(1, now, {})).rows == 1

    for other in (
        {**now, "lora": key_settings(LoraConfig(use_dora=True))},
        {**now, "train": key_settings(DPOConfig(weight_decay=0.1))},
        {**now, "prompts": {"count": 3}},
        {**now, "unheard_of": 1},
    ):
        with pytest.raises(StoreError, match="made with other settings") as refused:
            it.begin("adapter", StageKey(1, other, {}))
        assert str(refused.value).count("->") == 1
    assert "unheard_of: None -> 1" in str(refused.value)


def test_a_section_that_does_not_say_its_type_is_not_of_the_one_of_now(run: RunStore) -> None:
    it = run.begin_iteration(0, _about)
    now = key_settings(DPOConfig())
    it.begin("adapter", StageKey(1, {"train": {name: now[name] for name in now if name != "type"}}, {}))
    it.add_shard("adapter", _shard("a"), Prompt, seconds=0.0)
    with pytest.raises(StoreError, match=r"train\.type: None -> 'dpo'"):
        it.begin("adapter", StageKey(1, {"train": now}, {}))


def test_settings_may_change_while_nothing_is_made(run: RunStore) -> None:
    it = run.begin_iteration(0, _about)
    it.begin("pairs", _key(count=1))
    it.add_shard("pairs", _shard(), Prompt, seconds=0)
    it.add_shard("pairs", _shard(), Prompt, seconds=0)
    entry = it.begin("pairs", _key(count=2))
    assert entry.files == ()
    assert entry.settings == {"prompts": {"count": 2}}
    it.add_shard("pairs", _shard("a"), Prompt, seconds=0)
    it.finish("pairs")
    it.close()
    assert verify(run.path) == []  # no empty shard of the first try is left over


def test_a_fork_takes_what_it_inherits_as_it_is(tmp_path: Path, iteration: IterationStore) -> None:
    inherited = IterationStore(iteration.path, iteration.manifest, inherited=True)
    assert inherited.begin("prompts", _key(count=99)).rows == 2


def test_the_digest_depends_on_the_content(run: RunStore, iteration: IterationStore) -> None:
    before = iteration.manifest.stages["prompts"].digest
    iteration.add_shard("prompts", _shard("c"), Prompt, seconds=0)
    assert iteration.manifest.stages["prompts"].digest != before


def test_a_directory_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    with pytest.raises(StoreError, match="is not a run"):
        RunStore.create(tmp_path / "thesis")
    with pytest.raises(StoreError, match="no run here"):
        RunStore(tmp_path / "thesis")


def test_a_second_process_is_refused_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from selfreward.storage.run import lock_run\n"
        "with lock_run(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "r")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(StoreError, match="another process"), lock_run(tmp_path / "r"):
            pytest.fail("the lock was given twice")
    finally:
        other.kill()
        other.communicate()
    with lock_run(tmp_path / "r"):  # and it ends with its process
        pass


def test_config_comes_back(run: RunStore) -> None:
    assert run.config() == CONFIG


def test_verify_finds_one_flipped_byte_anywhere(run: RunStore, iteration: IterationStore) -> None:
    iteration.finish("prompts")
    iteration.close()
    run.begin_iteration(1, _about).close()
    assert verify(run.path) == []
    files = [p for p in run.path.rglob("*") if p.is_file() and p.name != ".lock"]
    assert {p.name for p in files} == {
        "run.json",
        "config.resolved.yaml",
        "events.jsonl",
        "manifest.json",
        "00000.parquet",
    }
    for path in files:
        whole = path.read_bytes()
        for position in range(0, len(whole), max(1, len(whole) // 150)):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
            assert verify(run.path), f"{path.name}, byte {position}"
        path.write_bytes(whole)
    assert verify(run.path) == []


def test_verify_finds_what_is_missing_added_or_exchanged(run: RunStore, iteration: IterationStore) -> None:
    iteration.finish("prompts")
    iteration.close()
    run.begin_iteration(1, _about).close()
    shard = iteration.path / "prompts/00000.parquet"
    stranger = iteration.path / "prompts/00001.parquet"
    stranger.write_bytes(shard.read_bytes())
    assert [p for p in verify(run.path) if "in no manifest" in p]
    stranger.unlink()
    for name in ("config.resolved.yaml", "events.jsonl"):
        (run.path / name).rename(run.path / ".tmp-away")
        assert [p for p in verify(run.path) if p.endswith(f"{name}: missing")]
        (run.path / ".tmp-away").rename(run.path / name)
    assert verify(run.path) == []
    moved = shard.rename(shard.with_suffix(".gone"))
    assert any("missing" in p for p in verify(run.path))
    moved.rename(shard)
    first, second = (run.path / f"iter-{n:03d}/manifest.json" for n in (0, 1))
    whole = second.read_bytes()
    second.write_bytes(first.read_bytes())  # a manifest that is sound in itself, in another's place
    assert any("belongs to iteration 0" in p for p in verify(run.path))
    second.write_bytes(whole)
    first.unlink()
    assert any("cannot be read" in p for p in verify(run.path))


def test_nothing_is_built_on_a_damaged_shard(run: RunStore, iteration: IterationStore) -> None:
    shard = iteration.path / "prompts/00000.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + b"x")
    with pytest.raises(StoreError, match=r"00000\.parquet: missing or damaged; `selfreward verify"):
        list(iteration.stored("prompts", Prompt).records())
    shard.unlink()
    with pytest.raises(StoreError, match="missing or damaged"):
        list(iteration.stored("prompts", Prompt).records())


def test_a_finished_iteration_takes_no_further_stage(run: RunStore, iteration: IterationStore) -> None:
    iteration.finish("prompts")
    iteration.close()
    again = run.iteration(0)
    assert again.begin("prompts", _key(count=3)).finished
    with pytest.raises(StoreError, match="is finished, and was made without examples"):
        again.begin("examples", _key())
    assert verify(run.path) == []


def test_a_copy_of_an_iteration_is_no_iteration(run: RunStore, iteration: IterationStore) -> None:
    shutil.copytree(iteration.path, run.path / "iter-000.bak")
    assert run.iterations() == [0]


def test_a_config_of_an_earlier_version_is_said_in_one_line(run: RunStore) -> None:
    path = run.path / "config.resolved.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("\ntrain:", "\ndpo:"), encoding="utf-8")
    with pytest.raises(StoreError, match=r"earlier version of selfreward, .* start anew with .* --name NEW") as error:
        run.config()
    assert "\n" not in str(error.value)
    path.write_text("- a\n", encoding="utf-8")
    with pytest.raises(StoreError, match="expected settings, found list"):
        run.config()


def test_candidates_stand_in_for_what_is_trained(iteration: IterationStore) -> None:
    assert not iteration.begin_training(CANDIDATES, _key(by="judge")).finished
    iteration.begin_training(ADAPTER, _key(by="loss"))
    assert iteration.stage(CANDIDATES) is None, "it was stopped before there was anything"
    iteration.begin_training(CANDIDATES, _key(by="judge"))
    assert iteration.stage(ADAPTER) is None
    iteration.finish(CANDIDATES)
    for other in (ADAPTER, MODEL):
        with pytest.raises(
            StoreError, match=r"candidates was made with other settings:\n  prompts\.by: 'judge' -> 'loss'"
        ):
            iteration.begin_training(other, _key(by="loss"))
    assert iteration.begin_training(CANDIDATES, _key(by="judge")).finished
