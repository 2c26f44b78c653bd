"""Runs of two iterations on a tiny model that implicit rewards judge."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from fixture_judged_run import Make, assert_whole, judgments, turns
from fixture_run import Command

from selfreward.config import load_config
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Answer, Ask, EngineRoom, Likelihood
from selfreward.engines.transformers import TransformersConfig, TransformersEngine
from selfreward.engines.vllm import VllmConfig
from selfreward.errors import ConfigError, StoreError
from selfreward.loop import run
from selfreward.records import Prompt, Response

pytestmark = pytest.mark.slow


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


def test_implicit_rewards(make_judged: Make, command: Command, tiny_model: Path, chat: Any, monkeypatch: Any) -> None:
    recipe = make_judged(judge={"method": {"type": "implicit", "beta": 0.5, "length_penalty": 0.01}})
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
            tokens = len(chat.encode_targets([turns(prompts[judgment.prompt_id], text)])[0].ids) - len(
                chat.encode([turns(prompts[judgment.prompt_id], text)[:1]])[0]
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


def test_implicit_rewards_beside_an_engine_that_has_no_likelihoods(
    make_judged: Make, command: Command, tiny_model: Path, chat: Any, monkeypatch: Any
) -> None:
    """In vLLM's place writes an engine that refuses the ask."""
    under_way: list[str] = []

    def opened(self: VllmConfig, model: ModelConfig, room: EngineRoom) -> Any:
        engine: Any = TransformersConfig(batch_size=8).open(model, room)
        submit, pause = engine.submit, engine.pause

        def asked(ask: Ask) -> int:
            assert not isinstance(ask.how, Likelihood)
            under_way.append("vllm")
            return int(submit(ask))

        def paused() -> None:
            under_way.append("paused")
            pause()

        engine.submit, engine.pause = asked, paused
        return engine

    def scored(self: TransformersEngine, ask: Ask, adapter: Path | None) -> list[Answer]:
        if "vllm" in under_way:
            assert under_way[-1] == "paused", "only one engine has memory at a time"
        return likelihoods(self, ask, adapter)

    likelihoods = TransformersEngine._likelihoods
    monkeypatch.setattr(VllmConfig, "check", lambda *_: None)
    monkeypatch.setattr(VllmConfig, "open", opened)
    monkeypatch.setattr(TransformersEngine, "_likelihoods", scored)
    monkeypatch.setattr("selfreward.verdicts.measuring.cache_root", lambda: recipe.parent / "cache")
    recipe = make_judged(judge={"method": "implicit"}, engine="vllm")
    assert command("run", str(recipe), "--dry-run")[0] == 0
    store = run(load_config(recipe))
    assert_whole(store, "implicit")
    it = store.iteration(2)
    used = [it.manifest.stages[name].settings["engine"]["type"] for name in ("responses", "judgments")]
    assert used == ["vllm", "transformers"]
    judgment = judgments(it)[0]
    (prompt,) = (p.text for p in it.stored("prompts", Prompt).records() if p.id == judgment.prompt_id)
    (response,) = (r.text for r in it.stored("responses", Response).records() if r.id == judgment.response_ids[0])
    adapters = [store.path / f"iter-{n:03}" / "adapter" for n in (1, 0)]
    ratio = plain_log_ratio(tiny_model, adapters[0], adapters[1], chat, prompt, response)
    assert judgment.score == pytest.approx(0.1 * ratio, abs=1e-3)
    code, out, err = command("eval", "judge", "tiny", "-i", "2", "--json")
    assert code == 0, err
    measured = json.loads((it.path / "metrics.json").read_text())["judge_quality"]
    assert json.loads(out)["judges"] == [{**measured, "judge": "M2 of tiny against M1"}]
    assert under_way
