"""Runs of two iterations on a tiny model with the judges that read no rubric, and what the commands make of them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fixture_judged_run import CHECKS, Make, assert_whole, judgments, turns
from fixture_run import Command

from selfreward.config import load_config
from selfreward.errors import ConfigError, StoreError
from selfreward.loop import run
from selfreward.plan import make_plan
from selfreward.records import Prompt, Response

pytestmark = pytest.mark.slow


def test_a_reward_model(make_judged: Make, command: Command, reward_model: Path, chat: Any, monkeypatch: Any) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    recipe = make_judged(judge={"method": {"type": "reward_model", "model": str(reward_model), "batch_size": 3}})
    store = run(load_config(recipe))
    assert_whole(store, "reward_model")
    it = store.iteration(1)
    prompts = {p.id: p.text for p in it.stored("prompts", Prompt).records()}
    responses = {r.id: r.text for r in it.stored("responses", Response).records()}
    plain: Any = AutoModelForSequenceClassification.from_pretrained(reward_model, dtype=torch.float32).eval()
    for judgment in judgments(it):
        text = responses[judgment.response_ids[0]]
        ids = chat.encode([turns(prompts[judgment.prompt_id], text)], open_turn=False)
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


def test_a_function_of_ones_own(make_judged: Make, command: Command, tmp_path: Path, monkeypatch: Any) -> None:
    recipe = make_judged(judge={"method": {"type": "verifiable", "function": "checks.py:words"}})
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


def test_ifevals_checks(make_judged: Make, command: Command, tmp_path: Path) -> None:
    pytest.importorskip("if_verifiable", reason="needs if-verifiable: pip install 'selfreward[ifeval]'")
    named = {
        "instruction_id_list": ["length_constraints:number_words"] * 2 + ["punctuation:no_comma"],
        "kwargs": [{"relation": "at least", "num_words": least} for least in (12, 24)] + [{}],
    }
    rows = [{"key": n, "prompt": f"Name {n} kinds of tree without a comma.", **named} for n in range(8)]
    (tmp_path / "ifeval.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    recipe = make_judged(
        judge={"method": {"type": "verifiable", "ifeval": "instruction_strict"}},
        prompts={"file": "ifeval.jsonl", "count": 6},
        evaluation={},
    )
    store = run(load_config(recipe))
    assert_whole(store, "verifiable", measured=False)
    for t in (1, 2):
        it = store.iteration(t)
        texts = {r.id: r.text for r in it.stored("responses", Response).records()}
        for judgment in judgments(it):
            text = texts[judgment.response_ids[0]]
            words = len(re.findall(r"\w+", text))
            followed = [words >= 12, words >= 24, "," not in text] if text.strip() else [False]
            assert judgment.score == pytest.approx(sum(followed) / len(followed))
        assert {j.model for j in judgments(it)} == {"ifeval instruction_strict"}
    assert "verifiable, by ifeval instruction_strict" in command("show", "tiny", judgments(store.iteration(2))[0].id)[1]
    assert command("diagnose", "tiny")[0] == 0


def test_a_mix(make_judged: Make, command: Command, reward_model: Path, tmp_path: Path, monkeypatch: Any) -> None:
    parts = {
        "score": {"method": {"type": "expected", "min_mass": 0.0}, "weight": 2},
        "against": {
            "method": {"type": "pairwise", "plan": "knockout", "verdict": {"type": "expected", "min_mass": 0.0}}
        },
        "reward": {"method": {"type": "reward_model", "model": str(reward_model)}},
        "words": {"method": {"type": "verifiable", "function": "checks.py:words"}},
        "ratio": {"method": "implicit", "weight": 0.5},
    }
    recipe = make_judged(judge={"method": {"type": "mix", "parts": parts}})
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
