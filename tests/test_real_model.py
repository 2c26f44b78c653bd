"""The real small model through all stages: the demo's recipe, with less of everything."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from selfreward.config import load_config
from selfreward.loop import run
from selfreward.records import Judgment, PreferencePair, Prompt, Response
from selfreward.resources import find
from selfreward.storage.verify import verify

pytestmark = pytest.mark.slow

_LESS = [
    "sft.max_tokens=1500",
    "prompts.count=6",
    "responses.n=3",
    "responses.max_tokens=128",
    "pairs.min_margin=0.0",
    "train.epochs=8",
]


def test_all_stages(builtin_model: Path, tmp_path: Path) -> None:
    config = load_config(find("recipes", "demo.yaml"), [*_LESS, f"runs_dir={tmp_path}"], iterations=1)
    store = run(config)
    assert verify(store.path) == []
    it = store.iteration(1)
    prompts = list(it.stored("prompts", Prompt).records())
    assert len({p.text for p in prompts}) == 6
    assert all(3 <= len(p.text.split()) <= 40 and p.text[0].isascii() for p in prompts)
    responses = list(it.stored("responses", Response).records())
    assert len(responses) == 18
    assert any(r.finish_reason == "stop" and len(r.text.split()) > 3 for r in responses)
    judgments = list(it.stored("judgments", Judgment).records())
    assert all(j.score is not None and 0 < j.score < 5 and j.mass is not None and j.mass > 0.5 for j in judgments)
    assert len({j.score for j in judgments}) > 9
    pairs = list(it.stored("pairs", PreferencePair).records())
    assert pairs
    steps = [json.loads(line) for line in (it.path / "training.jsonl").read_text().splitlines()]
    assert steps[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert steps[-1]["rewards/margins"] > 0.01
    first, second = (load_file(store.path / f"iter-00{t}/adapter/adapter_model.safetensors") for t in (0, 1))
    assert any((first[name] != second[name]).any() for name in first)
