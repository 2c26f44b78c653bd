"""The plan follows the recipe, checks it, and touches nothing."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from selfreward.config import RunConfig, load_config
from selfreward.errors import ConfigError, ModelError, SeedError, SelfRewardError, StageError, TemplateError
from selfreward.plan import Plan, StagePlan, make_plan
from selfreward.resources import find, names
from selfreward.storage.run import RunStore
from selfreward.training.job import makes


def demo(tmp_path: Path, *overrides: str) -> RunConfig:
    config = load_config(find("recipes", "demo.yaml"), overrides)
    return config.model_copy(update={"runs_dir": str(tmp_path / "runs")})


def stage(plan: Plan, name: str, *, sft: bool = False) -> StagePlan:
    return next(s for s in (plan.sft if sft else plan.self_reward) if s.stage == name)


@pytest.mark.parametrize("name", names("recipes"))
def test_every_recipe_can_be_planned(name: str) -> None:
    config = load_config(find("recipes", name))
    plan = make_plan(config)
    stages = [one.stage for one in plan.self_reward]
    assert stages[:2] == ["prompts", "responses"]
    assert {config.pairs.stage, makes(config.lora)} <= set(stages)
    assert ("judgments" in stages) == (config.pairs.type != "spin")
    assert all(one.rows > 0 for one in plan.self_reward)


def test_no_more_prompts_are_taken_from_seeds_than_there_are(tmp_path: Path) -> None:
    plan = make_plan(demo(tmp_path, "prompts.from_seeds=true", "prompts.count=5000", "pairs=spin", "responses.n=1"))
    seeds = stage(plan, "seeds_ift", sft=True).rows
    assert stage(plan, "prompts").rows == stage(plan, "responses").rows == stage(plan, "pairs").rows == seeds


def test_packed_rows_are_fewer_steps(tmp_path: Path) -> None:
    plain, packed = (
        stage(make_plan(demo(tmp_path, *more)), "adapter", sft=True)
        for more in ((), ("sft.packing=true", "sft.max_length=2000"))
    )
    assert (packed.rows, packed.tokens_read) == (plain.rows, plain.tokens_read)
    assert 0 < packed.training_steps < plain.training_steps


def test_steps_of_so_many_tokens(tmp_path: Path) -> None:
    pairs = stage(make_plan(demo(tmp_path, "train.batch_size=4", "train.epochs=1")), "adapter")
    four = 4 * pairs.tokens_read // pairs.rows
    changes = (f"train.batch_tokens={four + 9}", "train.batch_size=1", "train.epochs=1")
    by_tokens = stage(make_plan(demo(tmp_path, *changes)), "adapter")
    assert by_tokens.training_steps == pairs.training_steps


def test_steps_of_so_many_tokens_are_shared_by_processes(tmp_path: Path) -> None:
    (launch := tmp_path / "three.yaml").write_text("num_processes: 3\ndistributed_type: MULTI_GPU\n")
    pairs = stage(make_plan(demo(tmp_path, "train.epochs=1")), "adapter")
    asked = ("train.epochs=1", f"train.batch_tokens={9 * pairs.tokens_read // pairs.rows + 9}")
    shared = demo(tmp_path, *asked, "sft.batch_size=3", "sft.micro_batch_size=1").model_copy(
        update={"accelerate_config": str(launch)}
    )
    assert stage(make_plan(demo(tmp_path, *asked)), "adapter").training_steps == -(-pairs.rows // 8)
    assert stage(make_plan(shared), "adapter").training_steps == -(-pairs.rows // 6)


def test_a_response_by_itself_is_one_side(tmp_path: Path) -> None:
    pairs = stage(make_plan(demo(tmp_path, "train.epochs=1")), "adapter")
    kinds = (
        ("pairs={type: threshold, min_score: 3}", "train=kto"),
        ("pairs={type: positives, min_score: 3}", "train=sft"),
    )
    for kind in kinds:
        alone = stage(make_plan(demo(tmp_path, *kind, "train.epochs=1")), "adapter")
        assert 2 * alone.tokens_read // alone.rows == pairs.tokens_read // pairs.rows


def test_a_run_whose_config_is_not_understood_is_said(tmp_path: Path) -> None:
    begun = demo(tmp_path)
    begun.run_dir.mkdir(parents=True)
    RunStore.create(begun.run_dir).save_config(begun)
    (path,) = begun.run_dir.glob("config*.yaml")
    for text in ("train: {no_longer_there: 1}\n", "- 1\n", "a: [", "\0"):
        path.write_text(text)
        with pytest.raises(SelfRewardError, match="config"):
            make_plan(begun)


def test_a_list_of_objectives_is_planned_by_its_first_one(tmp_path: Path) -> None:
    plan = make_plan(demo(tmp_path, "train=[{epochs: 4, batch_size: 2}, orpo]"))
    (notice,) = (notice for notice in plan.notices if "objective for each iteration" in notice)
    assert "(1: dpo, 2: orpo, which holds on)" in notice
    one = make_plan(demo(tmp_path, "train={epochs: 4, batch_size: 2}"))
    assert stage(plan, "adapter").training_steps == stage(one, "adapter").training_steps


def test_settings_that_differ_from_the_last_start_are_named(tmp_path: Path) -> None:
    begun = demo(tmp_path)
    begun.run_dir.mkdir(parents=True)
    RunStore.create(begun.run_dir).save_config(begun)
    assert not any("last started" in notice for notice in make_plan(demo(tmp_path, "iterations=9")).notices)
    (notice,) = (n for n in make_plan(demo(tmp_path, "train.beta=0.25")).notices if "last started" in n)
    assert f"(train.beta: {begun.objective(1).beta} -> 0.25)" in notice


def rows_of(tmp_path: Path, name: str, *rows: dict[str, Any]) -> Path:
    path = tmp_path / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_as_many_responses_are_judged_as_are_written(tmp_path: Path) -> None:
    file = rows_of(tmp_path, "prompts.jsonl", *({"prompt": f"Say {i}."} for i in range(5)))
    sampled = ("judge.method={type: sampled, samples: 2}", "iterations=1", "prompts.count=5000", "meta_judge={}")
    for source, prompts in (("prompts.from_seeds=true", 101), (f"prompts.file={file}", 5)):
        plan = make_plan(demo(tmp_path, *sampled, source))
        responses = stage(plan, "responses").rows
        assert (stage(plan, "prompts").rows, stage(plan, "judgments").rows) == (prompts, 2 * responses)
        assert stage(plan, "judgment_comparisons").rows == 2 * prompts


def test_prompts_of_seeds_that_are_conversations_are_refused(tmp_path: Path) -> None:
    turns = [{"role": role, "content": "Hm."} for role in ("user", "assistant", "user", "assistant")]
    talks = rows_of(tmp_path, "talks.jsonl", {"messages": turns})
    with pytest.raises(StageError, match=r"prompts\.from_seeds: none of the 1 IFT seeds is one user's turn"):
        make_plan(demo(tmp_path, f"seeds.ift={talks}", "prompts.from_seeds=true"))


@pytest.mark.parametrize("asks", ["pairs=spin", "judge={rubric: reference_5pt, method: sampled}"])
def test_a_file_without_answers_is_refused_where_they_are_asked_for(tmp_path: Path, asks: str) -> None:
    none = rows_of(tmp_path, "none.jsonl", {"prompt": "Why?"})
    checked = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    instructions = rows_of(tmp_path, "ifeval.jsonl", {"prompt": "Why?", **checked})
    answers = rows_of(tmp_path, "answers.jsonl", {"prompt": "Why?", "reference": "Because."})
    ask = (asks, "seeds.eft=null", "iterations=1")
    for file, problem in ((none, "no reference"), (instructions, "IFEval's instructions, which are no answers")):
        with pytest.raises(ConfigError, match=problem):
            make_plan(demo(tmp_path, *ask, f"prompts.file={file}"))
    assert stage(make_plan(demo(tmp_path, *ask, f"prompts.file={answers}")), "prompts").rows == 1


def test_rows_tokens_and_steps(tmp_path: Path) -> None:
    plan = make_plan(
        demo(
            tmp_path,
            "prompts.count=20",
            "responses.n=4",
            "responses.max_tokens=128",
            "train.epochs=2",
            "train.batch_size=4",
        )
    )
    responses = stage(plan, "responses")
    assert (responses.rows, responses.most_tokens_written) == (80, 80 * 128)
    assert 0 < responses.tokens_written <= responses.most_tokens_written
    assert stage(plan, "judgments").rows == 80
    assert stage(plan, "judgments").tokens_written == 0  # expected scores are read, not written
    assert stage(plan, "pairs").most_rows == 20
    assert stage(plan, "adapter").training_steps == 10
    assert stage(plan, "prompts").most_tokens_written == 20 * 10 * 48
    assert list(tmp_path.iterdir()) == []


def test_sampled_verdicts_are_written(tmp_path: Path) -> None:
    override = "judge.method={type: sampled, samples: 3, max_tokens: 100, retries: 1}"
    judgments = stage(make_plan(demo(tmp_path, override)), "judgments")
    assert judgments.rows == 240
    assert judgments.most_tokens_written == 240 * 100 * 2
    assert 0 < judgments.tokens_written < judgments.most_tokens_written


METHODS: list[tuple[str, dict[str, tuple[int, int, int]]]] = [
    ("expected", {"judgments": (80, 80, 1)}),
    ("{type: pairwise}", {"judgments": (20 * 12 + 80, 20 * 12, 2)}),
    ("{type: pairwise, plan: knockout}", {"judgments": (20 * 6 + 80, 20 * 6, 2)}),
    ("implicit", {"judgments": (80, 160, 1)}),
    ("{type: reward_model, model: some/model}", {"judgments": (80, 80, 1)}),
    ("{type: verifiable, function: checks.py:f}", {"judgments": (80, 0, 1)}),
    (
        "{type: mix, parts: {one: {method: expected}, two: {method: implicit}}}",
        {"judgments_one": (80, 80, 1), "judgments_two": (80, 160, 1), "judgments": (80, 0, 1)},
    ),
]


@pytest.mark.parametrize(("method", "expected"), METHODS)
def test_every_method_says_what_it_reads(
    tmp_path: Path, method: str, expected: dict[str, tuple[int, int, int]]
) -> None:
    (tmp_path / "checks.py").write_text("", encoding="utf-8")
    method = method.replace("checks.py", str(tmp_path / "checks.py"))
    changes = ("prompts.count=20", "responses.n=4", "seeds.eft=null", f"judge.method={method}")
    plan = make_plan(demo(tmp_path, *changes))
    responses = stage(plan, "responses")
    prompt, answer = responses.tokens_read // 80, responses.tokens_written // 80
    for name, (rows, questions, shown) in expected.items():
        found = stage(plan, name)
        assert (found.rows, found.tokens_written) == (rows, 0)
        assert found.tokens_read >= questions * (prompt + shown * answer)
        if "expected" not in method and "pairwise" not in method:  # they read a rubric besides
            assert found.tokens_read == questions * (prompt + shown * answer)


def test_written_comparisons_are_counted_in_both_orders(tmp_path: Path) -> None:
    verdict = "{type: sampled, samples: 2, max_tokens: 50, retries: 1}"
    changes = ("prompts.count=10", "responses.n=3", "seeds.eft=null")
    prompts = tmp_path / "held_out.txt"
    prompts.write_text("one\ntwo\n", encoding="utf-8")
    method = f"judge.method={{type: pairwise, verdict: {verdict}}}"
    plan = make_plan(demo(tmp_path, *changes, method, f"evaluation.prompts={prompts}"))
    judged, compared = stage(plan, "judgments"), stage(plan, "comparison")
    assert (judged.rows, judged.most_tokens_written) == (10 * 6 * 2 + 30, 10 * 6 * 2 * 50 * 2)
    assert (compared.rows, compared.most_tokens_written) == (2 * 2 * 2, 2 * 2 * 2 * 50 * 2)


def test_models_are_compared_as_the_engine_can(tmp_path: Path) -> None:
    """The recipe's own way of comparing is planned, and what a judge of single responses comes to."""
    prompts = tmp_path / "held_out.txt"
    prompts.write_text("one\ntwo\n", encoding="utf-8")
    asked = (f"evaluation.prompts={prompts}", "prompts.count=4")
    by_letters = stage(make_plan(demo(tmp_path, *asked)), "comparison")
    assert (by_letters.rows, by_letters.tokens_written) == (4, 0)
    endpoint = "judge.model={name: m, engine: {type: server, url: 'http://127.0.0.1:1/v1'}}"
    sampled = "judge.method={type: sampled}"
    written = stage(make_plan(demo(tmp_path, *asked, endpoint, sampled)), "comparison")
    assert (written.rows, written.tokens_written > 0) == (12, True)


def test_sft_keeps_to_its_token_budget(tmp_path: Path) -> None:
    small = make_plan(demo(tmp_path, "sft.max_tokens=6000"))
    whole = make_plan(demo(tmp_path, "sft.max_tokens=null"))
    assert stage(small, "adapter", sft=True).tokens_read == 6000
    assert stage(small, "examples", sft=True).rows < stage(whole, "examples", sft=True).rows == 221


def test_without_sft_or_iterations(tmp_path: Path) -> None:
    plan = make_plan(demo(tmp_path, "sft.enabled=false", "iterations=0"))
    assert [s.stage for s in plan.sft] == ["seeds_ift", "seeds_eft"]
    assert plan.self_reward == ()


def test_adapter_size_is_that_of_the_model(tmp_path: Path) -> None:
    model = local_model(tmp_path)
    plan = make_plan(demo(tmp_path, f"model={model}", "lora.r=8"))
    # q, k, v, o and the three of the MLP, in two layers of width 32 with one key head of 16
    weights = 8 * 2 * ((32 + 32) + (32 + 16) + (32 + 16) + (32 + 32) + 3 * (32 + 64))
    assert stage(plan, "adapter").most_bytes == 4 * weights
    assert plan.most_bytes is not None
    assert plan.most_bytes > 3 * 4 * weights


def test_a_whole_model_takes_the_disk_of_all_its_weights(tmp_path: Path) -> None:
    model = local_model(tmp_path)
    plan = make_plan(demo(tmp_path, f"model={model}", "lora=null", "iterations=2"))
    linear = (32 * 32) + 2 * (32 * 16) + (32 * 32) + 3 * (32 * 64)
    weights = 2 * (linear + 2 * 32) + 2 * 100 * 32 + 32
    assert stage(plan, "model").most_bytes == stage(plan, "model", sft=True).most_bytes == 4 * weights
    assert plan.most_bytes is not None
    assert plan.most_bytes > 3 * 4 * weights


def test_an_adapters_learning_rate_for_all_weights_is_told(tmp_path: Path) -> None:
    whole = ("lora=null", "sft.learning_rate=1e-4", "train.learning_rate=[1e-6, 2e-5]")
    notices = make_plan(demo(tmp_path, *whole)).notices
    assert [notice.split("=")[0] for notice in notices] == ["sft.learning_rate", "train.learning_rate"]
    rates = ("sft.learning_rate=5e-6", "train.learning_rate=1e-6")
    assert make_plan(demo(tmp_path, "lora=null", *rates)).notices == ()
    assert make_plan(demo(tmp_path)).notices == ()
    assert len(make_plan(demo(tmp_path, *whole, "sft.enabled=false")).notices) == 1


def test_dora_has_the_lengths_beside_its_adapter(tmp_path: Path) -> None:
    model = local_model(tmp_path)
    lora, dora = (
        stage(make_plan(demo(tmp_path, f"model={model}", f"lora.use_dora={on}")), "adapter").most_bytes
        for on in ("false", "true")
    )
    assert dora is not None
    assert lora is not None
    assert dora - lora == 4 * 2 * (32 + 16 + 16 + 32 + 64 + 64 + 32)


def test_size_is_unknown_where_the_model_is_not_here(tmp_path: Path) -> None:
    plan = make_plan(demo(tmp_path, "model=nobody/no-such-model-here"))
    assert plan.most_bytes is None
    assert plan.model == "nobody/no-such-model-here (from the Hub)"


def local_model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": 100,
    }
    (directory / "config.json").write_text(json.dumps(shape), encoding="utf-8")
    for name in ("tokenizer.json", "model.safetensors"):
        (directory / name).write_text("{}", encoding="utf-8")
    return directory


@pytest.mark.parametrize(
    ("rule", "pairs"), [("best_random", 20), ("all_pairs", 20 * 6), ("{type: top_margin, fraction: 0.25}", 5)]
)
def test_a_pair_rule_says_how_many_pairs_there_can_be(tmp_path: Path, rule: str, pairs: int) -> None:
    changes = ("prompts.count=20", "responses.n=4", f"pairs={rule}", "train.epochs=1", "train.batch_size=1")
    plan = make_plan(demo(tmp_path, *changes))
    assert stage(plan, "pairs").most_rows == pairs
    assert stage(plan, "adapter").training_steps == pairs


def test_eft_seeds_do_not_show_aspects(tmp_path: Path) -> None:
    sampled = "judge.method={type: sampled}"
    with pytest.raises(ConfigError, match=r"seeds\.eft: .* has one score a response, and .*aspects_5pt\.md asks"):
        make_plan(demo(tmp_path, sampled, "judge.rubric=aspects_5pt"))
    assert stage(make_plan(demo(tmp_path, sampled, "judge.rubric=aspects_5pt", "seeds.eft=null")), "judgments").rows
    assert stage(make_plan(demo(tmp_path, sampled, "judge.rubric=faults_5pt_json")), "judgments").rows


def test_judging_the_judgments_is_planned(tmp_path: Path) -> None:
    sampled = "judge.method={type: sampled, samples: 3, max_tokens: 100}"
    without = make_plan(demo(tmp_path, sampled))
    plan = make_plan(demo(tmp_path, sampled, "meta_judge={max_share: 0.2, verdict: {max_tokens: 50, retries: 0}}"))
    comparisons = stage(plan, "judgment_comparisons")
    assert comparisons.rows == 20 * 3 * 2
    assert comparisons.most_tokens_written == 20 * 3 * 2 * 50
    assert comparisons.tokens_read > stage(plan, "judgments").tokens_read
    assert stage(plan, "judgment_pairs").most_rows == 5  # a fifth of 25
    assert stage(plan, "adapter").training_steps > stage(without, "adapter").training_steps
    assert stage(plan, "adapter").tokens_read > stage(without, "adapter").tokens_read
    assert [s.stage for s in plan.self_reward if s not in without.self_reward] == [
        "judgment_comparisons",
        "judgment_pairs",
        "adapter",
    ]
    assert plan.notices == without.notices
    (notice,) = make_plan(demo(tmp_path, sampled, "iterations=3", "meta_judge.last_iteration=2")).notices
    assert "up to iteration 2 only" in notice
    read = make_plan(demo(tmp_path, sampled, "meta_judge={verdict: expected}"))
    assert stage(read, "judgment_comparisons").tokens_written == 0


def test_what_would_stop_the_run_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"instruction": "x"}\n', encoding="utf-8")
    rubric = tmp_path / "rubric.md"
    rubric.write_text("no front matter", encoding="utf-8")
    found: list[tuple[str, Any]] = [
        (f"seeds.ift={bad}", SeedError),
        (f"judge.rubric={rubric}", TemplateError),
        (f"prompts.template={tmp_path / 'none.md'}", TemplateError),
        ("judge={method: implicit, rubric: additive_5pt}", ConfigError),
        ("judge.method=implicit", ConfigError),  # EFT seeds teach no such judge
        ("model=./nowhere", ModelError),
        ("accelerate_config=./nowhere.yaml", ConfigError),
        ("model=builtin:other", ModelError),
    ]
    for override, error in found:
        with pytest.raises(error):
            make_plan(demo(tmp_path, override))


def test_file_of_prompts(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("one\ntwo\nthree\n", encoding="utf-8")
    overrides = (f"prompts.file={prompts}", "prompts.count=2")
    assert stage(make_plan(demo(tmp_path, *overrides, "iterations=2")), "prompts").tokens_written == 0
    with pytest.raises(ConfigError, match="3 prompts are too few for 3 iterations"):
        make_plan(demo(tmp_path, *overrides, "iterations=3"))


def test_ifeval_needs_prompts_with_instructions(tmp_path: Path) -> None:
    pytest.importorskip("if_verifiable")
    prompts = tmp_path / "prompts.jsonl"
    row = {"prompt": "Use no commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    method = ("judge.method={type: verifiable, ifeval: prompt_loose}", "seeds.eft=null", "iterations=1")
    named = (*method, f"prompts.file={prompts}", "prompts.count=2")

    def refused(rows: list[dict[str, Any]], *changes: str) -> str:
        prompts.write_text("".join(f"{json.dumps(one)}\n" for one in rows), encoding="utf-8")
        with pytest.raises(ConfigError) as error:
            make_plan(demo(tmp_path, *(changes or named)))
        return str(error.value)

    assert "give prompts.file, with rows of" in refused([row], *method)
    assert "1 prompts have no reference, the first of them prompt 2" in refused([row, {"prompt": "Why?"}])
    assert "no instruction_id_list" in refused([row, {"prompt": "Why?", "reference": "So."}])
    assert "held-out rankings have no references" in refused([row] * 2, *named, f"evaluation.judge_data={prompts}")
    both = "{a: {method: sampled, rubric: reference_5pt}, b: {method: {type: verifiable, ifeval: prompt_loose}}}"
    assert "drop one of both" in refused([row] * 2, f"judge.method={{type: mix, parts: {both}}}", *named[1:])
    prompts.write_text(f"{json.dumps(row)}\n" * 2, encoding="utf-8")
    assert stage(make_plan(demo(tmp_path, *named)), "judgments").tokens_read == 0


def test_finished_work_is_named(unfinished_run: RunStore) -> None:
    plan = make_plan(unfinished_run.config())
    assert plan.finished == ("iteration 0", "iteration 1", "iteration 2")


def test_candidates_that_the_judge_chooses_from_are_counted(tmp_path: Path) -> None:
    prompts = tmp_path / "held_out.txt"
    prompts.write_text("one\ntwo\nthree\n", encoding="utf-8")
    asked = (f"evaluation.prompts={prompts}", f"model={local_model(tmp_path)}")
    train = "{batch_size: 2, epochs: 2, keep_best: {by: judge, eval_steps: 4}}"
    plain = make_plan(demo(tmp_path, *asked, "train={batch_size: 2, epochs: 2}"))
    plan = make_plan(demo(tmp_path, *asked, f"train={train}"))
    steps = stage(plain, "adapter").training_steps
    candidates = math.ceil(steps / 4)
    assert candidates > 2
    assert stage(plan, "candidates").training_steps == steps
    assert stage(plan, "candidates").most_bytes == candidates * (stage(plain, "adapter").most_bytes or 0) > 0
    for own, of_each in (("candidate_*", "compared_after"), ("candidate_*_comparison", "comparison")):
        found, one, taken_over = stage(plan, own), stage(plain, of_each), stage(plan, of_each)
        assert (found.rows, found.most_tokens_written) == (candidates * one.rows, candidates * one.most_tokens_written)
        assert (taken_over.rows, taken_over.tokens_read, taken_over.tokens_written) == (one.rows, 0, 0)
    assert stage(plan, "adapter").training_steps == 0
    assert [s.stage for s in plan.self_reward].index("candidate_*") < [s.stage for s in plan.self_reward].index(
        "adapter"
    )
    (notice,) = set(plan.notices) - set(plain.notices)
    assert "looks a little better than it is" in notice
