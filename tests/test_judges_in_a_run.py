"""Runs of two iterations on a tiny model with the judges that read no rubric, and what the commands make of them."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixture_run import Command

from selfreward.config import load_config
from selfreward.errors import ConfigError, StoreError
from selfreward.loop import run
from selfreward.plan import make_plan
from selfreward.records import Judgment, PreferencePair, Prompt, Response
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify

pytestmark = pytest.mark.slow
Make = Callable[..., Path]
CHECKS = '''
def words(prompt, response, reference):
    """More words are better, and without any there is nothing to tell."""
    return len(set(response.split())) or None
'''


@pytest.fixture
def make(make_recipe: Make, tmp_path: Path, ift: Path) -> Make:
    """A recipe of two iterations without EFT seeds, with prompts of a file and held-out rankings."""
    prompts = [{"prompt": f"Name {n} kinds of tree and say where they grow."} for n in range(8)]
    rows = [
        {"prompt_id": f"q{i}", "prompt": f"Name {i} fruits.", "response": text, "rank": rank, "quality": None}
        for i in range(4)
        for rank, text in enumerate(("apple pear plum"[: 5 * (i % 3 + 1)], "I like trains", "no"))
    ]
    for name, data in (("prompts", prompts), ("held", rows)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in data), encoding="utf-8")
    (tmp_path / "checks.py").write_text(CHECKS, encoding="utf-8")

    def written(**changes: Any) -> Path:
        return make_recipe(
            tmp_path,
            seeds={"ift": str(ift)},
            sft={"max_tokens": 600, "batch_size": 2, "learning_rate": 1.0e-3},
            prompts={"file": "prompts.jsonl", "count": 4},
            evaluation={"judge_data": "held.jsonl"},
            **changes,
        )

    return written


@pytest.fixture(scope="module")
def ift(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeds") / "ift.jsonl"
    rows = [{"instruction": f"Say {n}.", "response": f"Here it is: {n}."} for n in range(12)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def reward_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of one output with random weights, as save_pretrained writes it."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(3)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = LlamaConfig.from_pretrained(tiny_model, num_labels=1)
    directory = tmp_path_factory.mktemp("models") / "reward"
    LlamaForSequenceClassification(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def judgments(it: IterationStore, stage: str = "judgments") -> list[Judgment]:
    return list(it.stored(stage, Judgment).records())


def assert_whole(store: RunStore, method: str) -> None:
    """What holds of every method: a finished run whose pairs are in the order of the judgments, and its figures."""
    assert store.iterations() == [0, 1, 2]
    assert verify(store.path) == []
    for t in (1, 2):
        it = store.iteration(t)
        scores = {j.response_ids[0]: j.score for j in judgments(it)}
        assert {j.method for j in judgments(it)} == {method}
        assert set(scores) == {r.id for r in it.stored("responses", Response).records()}
        pairs = list(it.stored("pairs", PreferencePair).records())
        assert pairs
        for pair in pairs:
            best, worst = scores[pair.chosen_id], scores[pair.rejected_id]
            assert best is not None
            assert worst is not None
            assert pair.margin == pytest.approx(best - worst)
            assert pair.margin > 0
        metrics = json.loads((it.path / "metrics.json").read_text(encoding="utf-8"))
        assert metrics["judge_quality"]["method"] == method
        assert "score_histogram" not in metrics, "rewards are on no scale of whole scores"


def plain_log_ratio(root: Path, policy: Path, reference: Path | None, chat: Any, prompt: str, response: str) -> float:
    """By transformers and PEFT alone, one sequence at a time."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    def of(adapter: Path | None) -> float:
        model: Any = AutoModelForCausalLM.from_pretrained(root, dtype=torch.float32)
        if adapter is not None:
            model = PeftModel.from_pretrained(model, adapter)
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        start = len(chat.tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, return_dict=False))
        ids = chat.tokenizer.apply_chat_template(turns, return_dict=False)
        end = ids.index(chat.tokenizer.eos_token_id, start) + 1
        with torch.inference_mode():
            logprobs = model.eval()(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        return math.fsum(float(logprobs[place - 1, ids[place]]) for place in range(start, end))

    return of(policy) - of(reference)


def test_implicit_rewards(make: Make, command: Command, tiny_model: Path, chat: Any, monkeypatch: Any) -> None:
    recipe = make(judge={"method": {"type": "implicit", "beta": 0.5, "length_penalty": 0.01}})
    store = run(load_config(recipe))
    assert_whole(store, "implicit")
    for t in (1, 2):
        it = store.iteration(t)
        prompts = {p.id: p.text for p in it.stored("prompts", Prompt).records()}
        responses = {r.id: r.text for r in it.stored("responses", Response).records()}
        policy = store.path / f"iter-{t - 1:03}" / "adapter"
        reference = store.path / f"iter-{t - 2:03}" / "adapter" if t > 1 else None
        found = judgments(it)
        assert {j.model for j in found} == {f"M{t} against M{t - 1}"}
        for judgment in found[:3]:
            text = responses[judgment.response_ids[0]]
            ratio = plain_log_ratio(tiny_model, policy, reference, chat, prompts[judgment.prompt_id], text)
            tokens = len(chat.encode_targets([_turns(prompts[judgment.prompt_id], text)])[0].ids) - len(
                chat.encode([_turns(prompts[judgment.prompt_id], text)[:1]])[0]
            )
            assert judgment.score == pytest.approx(0.5 * ratio - 0.01 * tokens, abs=1e-3)
    inputs = store.iteration(2).manifest.stages["judgments"].inputs
    assert inputs["judge.method.reference"] != inputs["model"]
    with pytest.raises(StoreError, match=r"judge\.method\.reference"):
        run(load_config(recipe, ["judge.method.reference=initial"]))
    with pytest.raises(ConfigError, match="without SFT M1 is M0"):
        load_config(recipe, ["sft.enabled=false"])
    with pytest.raises(ConfigError, match=r"seeds\.eft: .*teaches a judge that writes scores by a rubric"):
        run(load_config(recipe, [f"seeds.eft={recipe}"]))

    monkeypatch.setattr("selfreward.verdicts.measuring.cache_root", lambda: recipe.parent / "cache")
    code, out, err = command("eval", "judge", "tiny", "-i", "1", "-i", "2", "--json")
    assert code == 0, err
    measured = json.loads((store.path / "iter-002" / "metrics.json").read_text())["judge_quality"]
    assert json.loads(out)["judges"][1] == {**measured, "judge": "M2 of tiny against M1"}
    assert "M0 of tiny is no model that was trained here" in command("eval", "judge", "tiny", "-i", "0")[2]
    assert (
        "is no model that was trained here"
        in command("eval", "judge", str(tiny_model), "--method", "implicit", "--data", "held.jsonl")[2]
    )
    shown = command("show", "tiny", judgments(store.iteration(2))[0].id)[1]
    assert "implicit, by M2 against M1" in shown
    assert command("diagnose", "tiny")[0] == 0


def _turns(prompt: str, response: str) -> tuple[Any, ...]:
    from selfreward.records import Message

    return Message(role="user", content=prompt), Message(role="assistant", content=response)


def test_a_reward_model(make: Make, command: Command, reward_model: Path, chat: Any, monkeypatch: Any) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    recipe = make(judge={"method": {"type": "reward_model", "model": str(reward_model), "batch_size": 3}})
    store = run(load_config(recipe))
    assert_whole(store, "reward_model")
    it = store.iteration(1)
    prompts = {p.id: p.text for p in it.stored("prompts", Prompt).records()}
    responses = {r.id: r.text for r in it.stored("responses", Response).records()}
    plain: Any = AutoModelForSequenceClassification.from_pretrained(reward_model, dtype=torch.float32).eval()
    for judgment in judgments(it):
        text = responses[judgment.response_ids[0]]
        ids = chat.encode([_turns(prompts[judgment.prompt_id], text)], open_turn=False)
        with torch.inference_mode():
            assert judgment.score == pytest.approx(plain(input_ids=torch.tensor(ids)).logits.item(), abs=1e-4)
    assert {j.model for j in judgments(it)} == {str(reward_model)}

    monkeypatch.setattr("selfreward.verdicts.measuring.cache_root", lambda: recipe.parent / "cache")
    for target in (("tiny",), (str(reward_model), "--method", "reward_model", "--data", "held.jsonl")):
        code, out, err = command("eval", "judge", *target, "--json")
        assert code == 0, err
        (report,) = json.loads(out)["judges"]
        assert (report["judge"], report["method"], report["rubric"]) == (str(reward_model), "reward_model", "")
        assert report["whole"]["judge"]["top_score_best"]["value"] is None
    assert (
        "leave judge.rubric out"
        in command(
            "rubrics", "try", "additive_5pt", "--model", "tiny", "--prompt", "checks.py", "--response", "checks.py"
        )[2]
    )
    code, out, _ = command("run", str(recipe), "--dry-run")
    assert code == 0
    assert "judgments" in out


def test_a_function_of_ones_own(make: Make, command: Command, tmp_path: Path, monkeypatch: Any) -> None:
    recipe = make(judge={"method": {"type": "verifiable", "function": "checks.py:words"}})
    store = run(load_config(recipe))
    assert_whole(store, "verifiable")
    for judgment in judgments(store.iteration(1)):
        (response,) = (
            r for r in store.iteration(1).stored("responses", Response).records() if r.id in judgment.response_ids
        )
        assert judgment.score == (len(set(response.text.split())) or None)
    monkeypatch.setattr("selfreward.verdicts.measuring.cache_root", lambda: tmp_path / "cache")
    assert command("eval", "judge", "tiny")[0] == 0
    (tmp_path / "checks.py").write_text(CHECKS.replace("words(", "other("), encoding="utf-8")
    with pytest.raises(ConfigError, match="has no attribute 'words'"):
        run(load_config(recipe))
    (tmp_path / "checks.py").write_text(f"{CHECKS}# changed\n", encoding="utf-8")
    with pytest.raises(StoreError, match=r"judge\.method\.function"):
        run(load_config(recipe))


def test_a_mix(make: Make, command: Command, reward_model: Path, tmp_path: Path, monkeypatch: Any) -> None:
    parts = {
        "score": {"method": {"type": "expected", "min_mass": 0.0}, "weight": 2},
        "against": {
            "method": {"type": "pairwise", "plan": "knockout", "verdict": {"type": "expected", "min_mass": 0.0}}
        },
        "reward": {"method": {"type": "reward_model", "model": str(reward_model)}},
        "words": {"method": {"type": "verifiable", "function": "checks.py:words"}},
        "ratio": {"method": "implicit", "weight": 0.5},
    }
    recipe = make(judge={"method": {"type": "mix", "parts": parts}})
    store = run(load_config(recipe))
    assert_whole(store, "mix")
    it = store.iteration(2)
    assert {"judgments_score", "judgments_against", "judgments_ratio"} < set(it.manifest.stages)
    for judgment in judgments(it):
        own = {a.name: a.score for a in judgment.aspects or ()}
        assert set(own) <= set(parts)
        if judgment.score is not None:
            weights = {name: part.get("weight", 1) for name, part in parts.items()}
            assert judgment.score == pytest.approx(sum(weights[n] * own[n] for n in parts) / 5.5)
    ids = [j.id for name in it.manifest.stages if name.startswith("judgments") for j in judgments(it, name)]
    assert len(set(ids)) == len(ids)

    shown = command("show", "tiny", judgments(it)[0].id)[1]
    for words in ("mix, by M2", "expected, additive_5pt@", "pairwise, pairwise@", "implicit, by M2 against M1"):
        assert words in shown
    assert judgments(it, "judgments_words")[0].id in command("show", "tiny", judgments(it, "judgments_words")[0].id)[1]
    monkeypatch.setattr("selfreward.verdicts.measuring.cache_root", lambda: tmp_path / "cache")
    code, out, err = command("eval", "judge", "tiny", "-i", "2", "--json")
    assert code == 0, err
    measured = json.loads((it.path / "metrics.json").read_text())["judge_quality"]
    assert json.loads(out)["judges"] == [{**measured, "judge": "M2 of tiny"}]
    stages = {stage.stage: stage.rows for stage in make_plan(load_config(recipe)).self_reward}
    assert (stages["judgments_score"], stages["judgments_against"], stages["judgments"]) == (12, 4 * 2 * 2 + 12, 12)
    before = [it.manifest.stages[name].digest for name in ("judgments", "judgments_score")]
    run(load_config(recipe))
    again = store.iteration(2).manifest.stages
    assert [again[name].digest for name in ("judgments", "judgments_score")] == before
    with pytest.raises(StoreError, match=r"judge\.method\.parts\.score\.weight: 2\.0 -> 5\.0"):
        run(load_config(recipe, ["judge.method.parts.score.weight=5"]))
