"""A run of a tiny model whose judge chooses each checkpoint: the choice, what is kept, and being cut off in it."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from fixture_endpoint import Asked, Reply, ScriptedEndpoint
from fixture_run import Command

from selfreward.config import RunConfig, load_config
from selfreward.errors import StageError, StoreError
from selfreward.loop import run
from selfreward.records import Judgment, Response
from selfreward.resources import find
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify

pytestmark = pytest.mark.slow
Make = Callable[..., Path]
_SHOWN = re.compile(r"<response_([ab])>\n(.*?)\n</response_\1>", re.DOTALL)


class Killed(Exception):
    """Something that nobody is ready for."""


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _prefers_letters(asked: Asked) -> Reply:
    """A judge whose taste is known: the response with more letters, whichever comes first."""
    if asked.method == "GET":
        return Reply({"data": [{"id": "big", "max_model_len": 4096}]})
    shown = _SHOWN.findall(asked.body["messages"][0]["content"])
    letter = max(shown, key=lambda found: _letters(found[1]))[0].upper()
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": f"Verdict: {letter}"}}
    return Reply({"choices": [{**choice, "index": i} for i in range(asked.body.get("n", 1))], "usage": {}})


@pytest.fixture(scope="module")
def judge() -> Iterator[dict[str, Any]]:
    endpoint = ScriptedEndpoint(_prefers_letters)
    engine = {"type": "server", "url": endpoint.url}
    verdict = {"type": "sampled", "samples": 1}
    yield {"model": {"name": "big", "engine": engine}, "method": {"type": "pairwise", "verdict": verdict}}
    endpoint.close()


@pytest.fixture(scope="module")
def recipe(make_recipe: Make, judge: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("candidates")
    (directory / "held.txt").write_text("".join(f"Name {i} fruits.\n" for i in range(8)), encoding="utf-8")
    return make_recipe(
        directory,
        seeds={"ift": str(find("seeds", "ift.jsonl"))},
        sft={"max_tokens": 800, "batch_size": 4, "learning_rate": 1.0e-3},
        judge=judge,
        train={
            "batch_size": 2,
            "micro_batch_size": 2,
            "learning_rate": 2.0e-2,
            "epochs": 2,
            "keep_best": {"by": "judge", "eval_steps": 2},
        },
        evaluation={"prompts": "held.txt"},
    )


@pytest.fixture(scope="module")
def finished(recipe: Path) -> RunStore:
    return run(load_config(recipe, name="whole"))


def _responses(it: IterationStore, stage: str) -> dict[str, Response]:
    return {one.prompt_id: one for one in it.stored(stage, Response).records()}


def _share(it: IterationStore, step: int) -> float:
    """How often a candidate has to win by the judge's taste, ties counting half."""
    before, after = _responses(it, "compared_before"), _responses(it, f"candidate_{step}")
    assert before.keys() == after.keys()
    ahead = [_letters(after[prompt].text) - _letters(before[prompt].text) for prompt in after]
    return fmean((lead > 0) + (lead == 0) / 2 for lead in ahead)


def test_the_candidate_that_wins_most_is_kept(finished: RunStore) -> None:
    for t in (1, 2):
        it = finished.iteration(t)
        adapter = it.manifest.stages["adapter"]
        found = adapter.summary["candidates"]
        steps = [one["step"] for one in found]
        assert steps == [*range(2, adapter.summary["steps"], 2), adapter.summary["steps"]]
        shares = {step: _share(it, step) for step in steps}
        assert {one["step"]: one["win_rate"] for one in found} == pytest.approx(shares, abs=1e-4)
        assert adapter.summary["kept_step"] == max(steps, key=lambda step: (shares[step], -step))
        assert json.loads((it.path / "metrics.json").read_text())["training"]["candidates"] == found
        assert len(set(shares.values())) > 1, "a choice between equals is none"


def test_the_kept_one_neither_answers_nor_is_judged_again(finished: RunStore) -> None:
    for t in (1, 2):
        it = finished.iteration(t)
        kept = it.manifest.stages["adapter"].summary["kept_step"]
        assert it.stage("compared_after").inputs["model"] == it.manifest.stages["adapter"].digest
        for record, stage, of_kept in (
            (Response, "compared_after", f"candidate_{kept}"),
            (Judgment, "comparison", f"candidate_{kept}_comparison"),
        ):
            own, taken = it.manifest.stages[stage], it.manifest.stages[of_kept]
            assert own.has(taken.version, taken.settings, taken.inputs)
            assert len(own.files) == 1 < len(taken.files), "in one piece, since it was there already"
            assert list(it.stored(stage, record).records()) == list(it.stored(of_kept, record).records())
        (own_share,) = [c["win_rate"] for c in it.manifest.stages["adapter"].summary["candidates"] if c["step"] == kept]
        assert it.manifest.stages["comparison"].summary["share"]["value"] == own_share


def test_what_is_left_is_an_iteration_like_any_other(finished: RunStore, command: Command, tmp_path: Path) -> None:
    for t in (1, 2):
        it = finished.iteration(t)
        assert it.stage("candidates") is None
        assert not (it.path / "candidates").exists()
        assert not list(it.path.glob(".tmp-*"))
        assert sorted(path.name for path in (it.path / "adapter").iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
        ]
        assert it.manifest.stages["adapter"].counts["rows"] == it.manifest.stages["pairs"].rows
    assert verify(finished.path) == []
    name = str(finished.path)
    beside = ("compare", name, "-i", "1", "-i", "2")
    merged = ("merge", name, "-i", "2", "-o", str(tmp_path / "merged"))
    fork = ("fork", name, "--at", "1", "--name", "child")
    for asked in (
        ("status", name),
        ("verify", name),
        beside,
        merged,
        fork,
        ("verify", str(finished.path.parent / "child")),
    ):
        code, _, err = command(*asked)
        assert code == 0, (asked, err)
    code, _, err = command("fork", name, "--from-pairs", "2", "--name", "anew")
    assert code == 0, err
    again = RunStore(finished.path.parent / "anew").iteration(2)
    assert not [stage for stage in again.manifest.stages if stage.startswith(("candidate", "compared", "adapter"))]
    assert verify(finished.path.parent / "anew") == []


def test_the_same_command_finds_all_done_and_what_chose_cannot_be_changed(
    recipe: Path, finished: RunStore, tmp_path: Path
) -> None:
    before = (finished.path / "iter-002" / "manifest.json").read_bytes()
    run(load_config(recipe, name="whole"))
    assert (finished.path / "iter-002" / "manifest.json").read_bytes() == before
    other = tmp_path / "other.txt"
    other.write_text("Name a tree.\n", encoding="utf-8")
    changes = {
        f"evaluation.prompts={other}": "evaluation.prompts: its content has changed",
        "train.keep_best.by=held_out_loss": "train.keep_best.by: 'judge' -> 'held_out_loss'",
        "train.keep_best.eval_steps=3": "train.keep_best.eval_steps: 2 -> 3",
    }
    for change, says in changes.items():
        with pytest.raises(StoreError) as refused:
            run(load_config(recipe, [change], name="whole"))
        assert says in str(refused.value)
    assert (finished.path / "iter-002" / "manifest.json").read_bytes() == before


def _cut_off(config: RunConfig, monkeypatch: pytest.MonkeyPatch, after: int) -> IterationStore:
    """Iteration 1 as it is when it is killed before so many candidates are judged."""
    from selfreward.steps import candidates

    decide, judged = candidates.decide, []

    def killed(*given: Any) -> Any:
        if len(judged) == after:
            raise Killed
        judged.append(given)
        return decide(*given)

    with monkeypatch.context() as patch:
        patch.setattr(candidates, "decide", killed)
        with pytest.raises(Killed):
            run(config)
    return RunStore(config.run_dir).iteration(1)


def _forbid_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfreward.session.train", lambda *given: pytest.fail("trained again"))


def test_killed_after_training_it_chooses_without_training_again(
    recipe: Path, finished: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(recipe, name="cut", iterations=1)
    it = _cut_off(config, monkeypatch, after=1)
    assert it.manifest.stages["candidates"].finished
    assert it.trained is None
    assert verify(config.run_dir) == []
    named = [file.path for file in it.manifest.stages["candidates"].files]
    assert "candidates/step-2/adapter_model.safetensors" in named
    adapters = {path.parent.name: path.read_bytes() for path in (it.path / "candidates").glob("step-*/*.safetensors")}
    first = it.path / "candidate_2_comparison" / "00000.parquet"
    stamp = first.stat().st_mtime_ns

    for change in ("train.keep_best=null", "train.keep_best.by=held_out_loss", "train.learning_rate=1.0e-5"):
        with pytest.raises(StoreError, match=r"candidates was made with other settings:\n  train\."):
            run(load_config(recipe, [change], name="cut", iterations=1))

    with monkeypatch.context() as patch:
        _forbid_training(patch)
        cut = run(config).iteration(1)
    assert first.stat().st_mtime_ns == stamp
    kept = cut.manifest.stages["adapter"].summary["kept_step"]
    assert (cut.path / "adapter" / "adapter_model.safetensors").read_bytes() == adapters[f"step-{kept}"]
    assert not (cut.path / "candidates").exists()
    assert verify(config.run_dir) == []
    whole = finished.iteration(1)
    assert cut.manifest.stages.keys() == whole.manifest.stages.keys()
    for name, entry in cut.manifest.stages.items():
        if name != "metrics":  # which holds times
            assert entry.digest == whole.manifest.stages[name].digest, name
    assert (
        cut.manifest.stages["adapter"].summary["candidates"] == whole.manifest.stages["adapter"].summary["candidates"]
    )


def test_a_damaged_candidate_stops_the_run_and_other_prompts_are_asked_anew(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = load_config(recipe, name="damaged", iterations=1)
    it = _cut_off(config, monkeypatch, after=1)
    adapter = it.path / "candidates" / "step-4" / "adapter_model.safetensors"
    shutil.copyfile(adapter, tmp_path / "copy")
    adapter.write_bytes(b"")
    _forbid_training(monkeypatch)
    with pytest.raises(StoreError, match=r"step-4/adapter_model\.safetensors: missing or damaged"):
        run(config)
    shutil.copyfile(tmp_path / "copy", adapter)
    fewer = tmp_path / "fewer.txt"
    fewer.write_text("Name 3 fruits.\nName 5 fruits.\n", encoding="utf-8")
    chosen = run(load_config(recipe, [f"evaluation.prompts={fewer}"], name="damaged", iterations=1)).iteration(1)
    assert [entry.rows for name, entry in chosen.manifest.stages.items() if name in ("candidate_2", "candidate_4")] == [
        2,
        2,
    ]
    assert verify(config.run_dir) == []


def test_without_a_prompt_to_choose_on_nothing_is_trained(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen.txt"
    seed = json.loads(find("seeds", "ift.jsonl").read_text(encoding="utf-8").splitlines()[0])
    seen.write_text(f"{seed['instruction']}\n", encoding="utf-8")
    changes = [f"evaluation.prompts={seen}", "sft.enabled=false"]
    _forbid_training(monkeypatch)
    with pytest.raises(StageError, match=r"among_seeds 1\), so train\.keep_best\.by=judge has nothing to choose on"):
        run(load_config(recipe, changes, name="nothing", iterations=1))
