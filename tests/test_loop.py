"""The loop on a tiny model: real tokenizer, engine, TRL and PEFT."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from selfreward.config import load_config
from selfreward.errors import ConfigError, EngineError, SeedError, StageError, StoreError
from selfreward.loop import run
from selfreward.records import EFTSeed, Example, IFTSeed, Judgment, PreferencePair, Prompt, Response
from selfreward.resources import find
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify

pytestmark = pytest.mark.slow
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def recipe(make_recipe: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recipe(tmp_path_factory.mktemp("loop"))


@pytest.fixture(scope="module")
def finished(recipe: Path) -> RunStore:
    """A finished run of two iterations."""
    return run(load_config(recipe))


def test_iterations_are_there_and_verify(finished: RunStore) -> None:
    assert finished.iterations() == [0, 1, 2]
    assert all(finished.iteration(t).manifest.finished for t in (0, 1, 2))
    assert verify(finished.path) == []


def test_every_record_can_be_walked_back(finished: RunStore) -> None:
    seeds = {s.id for s in finished.iteration(0).stored("seeds_ift", IFTSeed).records()}
    known_prompts: set[str] = set()
    for t in (1, 2):
        it = finished.iteration(t)
        prompts = {p.id: p for p in it.stored("prompts", Prompt).records()}
        responses = {r.id: r for r in it.stored("responses", Response).records()}
        judgments = list(it.stored("judgments", Judgment).records())
        pairs = list(it.stored("pairs", PreferencePair).records())
        assert len(prompts) == 6
        assert len(responses) == 18
        assert pairs
        for prompt in prompts.values():
            assert len(prompt.few_shot_ids) in (6, 8)
            assert set(prompt.few_shot_ids) <= seeds | known_prompts | set(prompts)
        assert {r.prompt_id for r in responses.values()} == set(prompts)
        assert {id for j in judgments for id in j.response_ids} == set(responses)
        for pair in pairs:
            assert responses[pair.chosen_id].prompt_id == responses[pair.rejected_id].prompt_id == pair.prompt_id
            assert pair.prompt[0].content == prompts[pair.prompt_id].text
            assert pair.chosen[0].content == responses[pair.chosen_id].text
            assert pair.margin == pair.chosen_score - pair.rejected_score > 0
        known_prompts |= set(prompts)


def test_few_shot_shows_generated_prompts_of_earlier_rounds(finished: RunStore) -> None:
    first = {p.id for p in finished.iteration(1).stored("prompts", Prompt).records()}
    second = list(finished.iteration(2).stored("prompts", Prompt).records())
    own = {p.id for p in second}
    shown_no_own = [p for p in second if not own & set(p.few_shot_ids)]
    assert shown_no_own
    assert all(len(first & set(p.few_shot_ids)) == 2 for p in shown_no_own)


def test_models_differ_and_stand_alone(finished: RunStore, tiny_model: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    weights = [load_file(finished.iteration(t).path / "adapter" / "adapter_model.safetensors") for t in (0, 1, 2)]
    assert weights[0].keys() == weights[1].keys() == weights[2].keys()
    assert not any(".ref." in name for name in weights[2])
    for before, after in pairwise(weights):
        assert any((before[name] != after[name]).any() for name in before)
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_model), finished.path / "iter-002/adapter"
    )
    assert model.active_adapters == ["default"]


def test_reference_is_the_parent(finished: RunStore) -> None:
    for t in (1, 2):
        steps = [json.loads(line) for line in (finished.iteration(t).path / "training.jsonl").read_text().splitlines()]
        assert steps[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
        assert steps[0]["rewards/margins"] == pytest.approx(0, abs=1e-4)
        assert steps[-1]["rewards/margins"] > 0


def test_manifests_say_what_was_done(finished: RunStore) -> None:
    manifests = [finished.iteration(t).manifest for t in (0, 1, 2)]
    assert [m.parent for m in manifests] == [None, finished.seal_of(0), finished.seal_of(1)]
    for manifest in manifests:
        assert manifest.environment["trl"]
        assert manifest.config["seed"] == 0
        assert len(manifest.templates["judge.rubric"]) == 64
        assert manifest.model["fingerprint"]
    prompts = manifests[1].stages["prompts"]
    dropped = sum(n for what, n in prompts.counts.items() if what.startswith("drop."))
    assert prompts.counts["asked"] == dropped + prompts.rows
    assert manifests[1].stages["responses"].counts["tokens.generated"] > 0


def test_metrics(finished: RunStore) -> None:
    found = json.loads((finished.iteration(1).path / "metrics.json").read_text())
    assert found["prompts"] == 6
    assert found["responses"] == found["judgments"] == 18
    assert found["unreadable_share"] == 0
    assert sum(found["score_histogram"].values()) == 18
    assert found["training"]["rewards/margins"]["last"] > 0


def test_sft_examples_are_both_kinds_and_teach_responses_only(finished: RunStore) -> None:
    examples = list(finished.iteration(0).stored("examples", Example).records())
    eft = {s.id: s for s in finished.iteration(0).stored("seeds_eft", EFTSeed).records()}
    assert {e.kind for e in examples} == {"ift", "eft"}
    for example in examples:
        assert 0 < example.response_start < len(example.input_ids)
        if example.kind == "eft":
            assert example.messages[-1].content == f"Score: {eft[example.seed_id].score:.0f}"


def test_pairs_load_with_datasets_into_trl(finished: RunStore, tmp_path: Path) -> None:
    import trl
    from datasets import load_dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    files = [str(p) for p in finished.iteration(1).stored("pairs", PreferencePair).paths()]
    data = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    root = finished.iteration(1).manifest.model["name"]
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(root), finished.path / "iter-000/adapter", is_trainable=True
    )
    arguments = trl.DPOConfig(output_dir=str(tmp_path / "out"), max_steps=1, bf16=False, use_cpu=True, report_to="none")
    trainer = trl.DPOTrainer(
        model=model, args=arguments, train_dataset=data, processing_class=AutoTokenizer.from_pretrained(root)
    )
    assert trainer.train().training_loss == pytest.approx(0.6931, abs=1e-3)


def test_same_command_again_changes_nothing(finished: RunStore, recipe: Path) -> None:
    before = _stamps(finished)
    run(load_config(recipe))
    assert _stamps(finished) == before


def test_changed_settings_are_refused_by_name(finished: RunStore, recipe: Path) -> None:
    before = _stamps(finished)
    for setting, name in (
        ("responses.temperature=0.5", "responses.temperature: 1.0 -> 0.5"),
        ("pairs.min_margin=0.9", "pairs.min_margin: 0.0 -> 0.9"),
        ("train.beta=0.5", "train.beta: 0.1 -> 0.5"),
        ("seed=7", "seed: 0 -> 7"),
        ("sft.enabled=false", "sft.enabled"),
    ):
        with pytest.raises(StoreError, match="--name") as refused:
            run(load_config(recipe, [setting]))
        assert name in str(refused.value)
    assert _stamps(finished) == before


def test_two_equal_runs_give_equal_bytes_and_smaller_batches_go_on(make_recipe: Make, tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, iterations=1)
    first, second = (run(load_config(recipe, name=name)) for name in ("first", "second"))
    assert _hashes(first) == _hashes(second)
    unkeyed = ["engine.batch_size=4", "shard_size=1", "train.micro_batch_size=1", "prompts.max_attempts=20"]
    run(load_config(recipe, unkeyed, name="second", iterations=2))
    assert second.iterations() == [0, 1, 2]
    assert verify(second.path) == []


def test_without_sft_m1_is_m0(make_recipe: Make, tmp_path: Path) -> None:
    store = run(load_config(make_recipe(tmp_path, iterations=1), ["sft.enabled=false"]))
    assert store.iteration(0).stage("adapter") is None
    summary = store.iteration(1).manifest.stages["adapter"].summary
    assert summary["loss"]["first"] == pytest.approx(0.6931, abs=1e-3)
    assert (store.path / "iter-001/adapter/adapter_model.safetensors").is_file()


def test_prompts_from_a_file_and_sampled_judging(make_recipe: Make, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"Name {n} kinds of tree."}) + "\n" for n in range(4)))
    recipe = make_recipe(tmp_path, iterations=1, seeds={}, prompts={"file": str(prompts), "count": 4})
    overrides = ["judge.method={type: sampled, max_tokens: 8, samples: 2, retries: 1}"]
    with pytest.raises(StageError, match=r"pairs came out empty .*unusable\.unjudged"):
        run(load_config(recipe, overrides))  # word soup holds no verdicts: none may be made up
    store = RunStore(load_config(recipe).run_dir)
    judgments = list(store.iteration(1).stored("judgments", Judgment).records())
    assert len(judgments) == 4 * 3 * 2
    assert {j.score for j in judgments} == {None}
    assert all(len(j.unreadable) == 1 for j in judgments)
    assert any(j.raw and j.unreadable[0] and j.raw != j.unreadable[0] for j in judgments)
    assert verify(store.path) == []


def test_pairwise_judging(make_recipe: Make, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("Describe a walk in the rain.\nName two green things.\n")
    judge = {"method": {"type": "pairwise", "verdict": {"type": "expected", "min_mass": 0.0}}}
    changes = {"prompts": {"file": str(file)}, "judge": judge, "sft": {"enabled": False}}
    with pytest.raises(ConfigError, match=r"seeds\.eft: .* asks which of two responses is better"):
        run(load_config(make_recipe(tmp_path, **changes)))
    seeds = {"ift": str(find("seeds", "ift.jsonl"))}
    it = run(load_config(make_recipe(tmp_path, iterations=1, seeds=seeds, **changes))).iteration(1)
    judgments = list(it.stored("judgments", Judgment).records())
    strengths = {j.response_ids[0]: j.score for j in judgments if j.method == "pairwise"}
    assert sum(len(j.response_ids) == 2 for j in judgments) == 2 * 6
    assert len(strengths) == 6
    for pair in it.stored("pairs", PreferencePair).records():
        assert pair.margin == strengths[pair.chosen_id] - strengths[pair.rejected_id] > 0  # type: ignore[operator]
    metrics = json.loads((it.path / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["judgments"], metrics["comparisons"]) == (6, 12)
    assert 0 <= metrics["swap_flip_share"] <= 1


def test_a_rubric_with_reference_answers(make_recipe: Make, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    rows = [{"prompt": f"Name {n} green things.", "reference": f"Moss{n}, grass."} for n in range(2)]
    changes: dict[str, Any] = {
        "judge": {"rubric": "reference_5pt", "method": {"type": "expected", "min_mass": 0.0}},
        "sft": {"enabled": False},
        "seeds": {"ift": str(find("seeds", "ift.jsonl"))},
        "iterations": 1,
    }
    with pytest.raises(ConfigError, match=r"reference answers: give prompts\.file"):
        run(load_config(make_recipe(tmp_path, **changes)))
    changes["prompts"] = {"file": str(file)}
    file.write_text("".join(f"{json.dumps(row)}\n" for row in [*rows, {"prompt": "x"}]), encoding="utf-8")
    with pytest.raises(ConfigError, match="1 prompts have no reference, the first of them prompt 3"):
        run(load_config(make_recipe(tmp_path, **changes)))
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"seeds\.eft: .* asks for a comparison with a reference answer"):
        run(load_config(make_recipe(tmp_path, **{**changes, "seeds": {"eft": str(find("seeds", "eft.jsonl"))}})))
    it = run(load_config(make_recipe(tmp_path, **changes))).iteration(1)
    assert [p.reference for p in it.stored("prompts", Prompt).records()] == ["Moss0, grass.", "Moss1, grass."]
    assert all(j.rubric.startswith("reference_5pt@") for j in it.stored("judgments", Judgment).records())
    rows[1]["reference"] = "Nothing."
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    with pytest.raises(StoreError, match=r"prompts\.file"):
        run(load_config(make_recipe(tmp_path, **changes)))


def test_prompts_by_a_fixed_model(make_recipe: Make, tiny_model: Path, tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, iterations=1)
    store = run(load_config(recipe, [f"prompts.model={tiny_model}", "sft.max_tokens=1000"]))
    prompts = list(store.iteration(1).stored("prompts", Prompt).records())
    assert {p.model for p in prompts} == {str(tiny_model)}
    assert {r.model for r in store.iteration(1).stored("responses", Response).records()} == {"M1"}
    # What M1 learned has no part in them: the key names the fixed model in M1's place.
    assert "model" not in store.iteration(1).manifest.stages["prompts"].inputs


def test_bad_seeds_stop_the_run_before_anything_is_made(make_recipe: Make, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"instruction": "x"}\nnot json\n')
    recipe = make_recipe(tmp_path, seeds={"ift": str(bad)})
    with pytest.raises(SeedError) as refused:
        run(load_config(recipe))
    assert "bad.jsonl:1:" in str(refused.value)
    assert "bad.jsonl:2:" in str(refused.value)
    assert not (tmp_path / "runs").exists()


def _hashes(store: RunStore) -> dict[str, str]:
    return {
        f"{t}/{file.path}": file.sha256
        for t in store.iterations()
        for entry in store.iteration(t).manifest.stages.values()
        for file in entry.files
        if file.path != "metrics.json" and not file.timings
    }


def _stamps(store: RunStore) -> dict[str, Any]:
    return {str(p): p.stat().st_mtime_ns for p in store.path.glob("iter-*/**/*") if p.is_file()}


def test_rows_added_to_a_prompt_file_are_no_change(make_recipe: Make, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"Name {n} kinds of tree.\n" for n in range(3)))
    recipe = make_recipe(tmp_path, iterations=1, prompts={"file": str(prompts), "count": 3}, sft={"enabled": False})
    run(load_config(recipe))
    with pytest.raises(StageError, match="none are left for iteration 2: add prompts"):
        run(load_config(recipe, iterations=2))
    with prompts.open("a") as file:
        file.writelines(f"Name {n} kinds of bird.\n" for n in range(3))
    store = run(load_config(recipe, iterations=2))
    assert {p.text.split()[-1] for p in store.iteration(2).stored("prompts", Prompt).records()} == {"bird."}


def test_sft_cannot_be_switched_on_under_a_finished_run(make_recipe: Make, tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, iterations=0)
    store = run(load_config(recipe, ["sft.enabled=false"]))
    with pytest.raises(StoreError, match="was made without examples"):
        run(load_config(recipe))
    assert verify(store.path) == []
    run(load_config(recipe, ["sft.enabled=false"]))


def test_sft_that_was_stopped_can_be_switched_off(
    make_recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    recipe = make_recipe(tmp_path, iterations=0)
    with monkeypatch.context() as patched:
        patched.setattr("selfreward.session.train", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(load_config(recipe))
    store = run(load_config(recipe, ["sft.enabled=false"]))
    assert store.iteration(0).manifest.finished
    assert store.iteration(0).stage("adapter") is None
    with pytest.raises(StoreError, match="was made without adapter"):
        run(load_config(recipe))
    assert verify(store.path) == []


def test_what_the_model_cannot_do_is_said_before_any_work(make_recipe: Make, tmp_path: Path) -> None:
    rubric = find("prompts", "judge/additive_5pt.md").read_text()
    (tmp_path / "ten.md").write_text(rubric.replace("max: 5", "max: 10"))
    recipe = make_recipe(tmp_path, judge={"rubric": "./ten.md", "method": {"type": "expected"}})
    with pytest.raises(EngineError, match=r"judge\.method\.type=sampled"):
        run(load_config(recipe, name="ten"))
    with pytest.raises(ConfigError, match=r"responses\.max_tokens=4096 leaves no room"):
        run(load_config(make_recipe(tmp_path), ["responses.max_tokens=4096"], name="long"))
    assert RunStore(tmp_path / "runs" / "ten").iterations() == []
    assert RunStore(tmp_path / "runs" / "long").iterations() == []


def test_killed_right_before_an_iteration_is_closed(
    make_recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(self: IterationStore) -> None:
        raise Killed

    config = load_config(make_recipe(tmp_path, iterations=0, sft={"enabled": False}))
    with monkeypatch.context() as patched:
        patched.setattr(IterationStore, "close", die)
        with pytest.raises(Killed):
            run(config)
    written = (config.run_dir / "iter-000/metrics.json").stat().st_mtime_ns
    store = run(config)
    assert store.iteration(0).manifest.finished
    assert (config.run_dir / "iter-000/metrics.json").stat().st_mtime_ns == written
    assert verify(store.path) == []
