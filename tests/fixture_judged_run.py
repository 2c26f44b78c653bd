"""Runs on a tiny model with the judges that read no rubric: their recipes, and what holds of all of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfreward.records import Judgment, Message, PreferencePair, Response
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify

Make = Callable[..., Path]
CHECKS = '''
def words(prompt, response, reference):
    """More words are better, and without any there is nothing to tell."""
    return len(set(response.split())) or None
'''


@pytest.fixture
def make_judged(make_recipe: Make, tmp_path: Path) -> Make:
    """A recipe of two iterations without EFT seeds, with prompts of a file and held-out rankings."""
    prompts = [{"prompt": f"Name {n} kinds of tree and say where they grow."} for n in range(8)]
    rows = [
        {"prompt_id": f"q{i}", "prompt": f"Name {i} fruits.", "response": text, "rank": rank, "quality": None}
        for i in range(4)
        for rank, text in enumerate(("apple pear plum"[: 5 * (i % 3 + 1)], "I like trains", "no"))
    ]
    ift = [{"instruction": f"Say {n}.", "response": f"Here it is: {n}."} for n in range(12)]
    for name, data in (("prompts", prompts), ("held", rows), ("ift", ift)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in data), encoding="utf-8")
    (tmp_path / "checks.py").write_text(CHECKS, encoding="utf-8")

    def written(**changes: Any) -> Path:
        usual = {
            "seeds": {"ift": "ift.jsonl"},
            "sft": {"max_tokens": 600, "batch_size": 2, "learning_rate": 1.0e-3},
            "prompts": {"file": "prompts.jsonl", "count": 4},
            "evaluation": {"judge_data": "held.jsonl"},
        }
        return make_recipe(tmp_path, **{**usual, **changes})

    return written


@pytest.fixture(scope="session")
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


def assert_whole(store: RunStore, method: str, *, measured: bool = True) -> None:
    """What holds of every method: a finished run whose pairs are in the order of the judgments, and its figures.

    ``measured``: on held-out rankings.
    """
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
        assert metrics.get("judge_quality", {}).get("method") == (method if measured else None)
        assert "score_histogram" not in metrics, "rewards are on no scale of whole scores"


def turns(prompt: str, response: str) -> tuple[Message, ...]:
    """A finished chat."""
    return Message(role="user", content=prompt), Message(role="assistant", content=response)
