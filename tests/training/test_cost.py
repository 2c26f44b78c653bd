"""What training costs is counted, whatever the objective, and stands apart from what must be equal."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from selfreward.engines.chat import Chat
from selfreward.engines.loading import ModelConfig, load_chat
from selfreward.objectives import ObjectiveConfig
from selfreward.records import Message
from selfreward.training.cost import cost_recorder, read_cost, summarise_cost

ROWS = [("Name a tree.", "An oak.", "A very long stone in the wood."), ("Say yes.", "Yes, of course I do.", "No.")]


def test_all_steps_together() -> None:
    steps = [
        {"seconds": 1.0, "tokens": 100, "tokens_per_second": 100.0, "peak_memory_gib": 0.5},
        {"seconds": 3.0, "tokens": 100, "tokens_per_second": 33.3, "peak_memory_gib": 0.75},
    ]
    found = summarise_cost(steps)
    assert found is not None
    assert (found.tokens, found.seconds, found.tokens_per_second, found.peak_memory_gib) == (200, 4.0, 50.0, 0.75)
    assert summarise_cost([]) is None


def test_a_line_that_a_crash_cut_off_is_none(tmp_path: Path) -> None:
    (tmp_path / "cost").write_text('{"step": 1}\n{"st')
    assert read_cost(tmp_path / "cost") == [{"step": 1}]
    assert read_cost(tmp_path / "nothing") == []


def turns(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def rows(kind: str) -> Any:
    from datasets import Dataset

    if kind in ("kto", "sft"):
        alone = [{"prompt": turns("user", q), "completion": turns("assistant", a), "label": True} for q, a, _ in ROWS]
        return Dataset.from_list([{**row, "label": i == 0} for i, row in enumerate(alone)])
    pairs = [(turns("user", q), turns("assistant", a), turns("assistant", b)) for q, a, b in ROWS]
    return Dataset.from_list([dict(zip(("prompt", "chosen", "rejected"), pair, strict=True)) for pair in pairs])


def length(chat: Chat, question: str, answer: str) -> int:
    """As TRL's own tokenising of turns has it; its experimental trainers are given no newline after the turn."""
    said = [Message(role="user", content=question), Message(role="assistant", content=answer)]
    return len(chat.encode([said], open_turn=False)[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dpo", "kto", "cpo", "simpo", "orpo", "sft"])
def test_tokens_that_are_trained_on_are_counted_in_every_objective(tiny_model: Path, tmp_path: Path, kind: str) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    chat = load_chat(ModelConfig(name=str(tiny_model)))
    settings = {"batch_size": 2, "micro_batch_size": 2 if kind == "kto" else 1, "epochs": 2}
    config: Any = TypeAdapter(ObjectiveConfig).validate_python({"type": kind, **settings})
    weights: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype="float32")
    policy = get_peft_model(weights, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules="all-linear"))
    trainer = config.trainer(policy, chat, rows(kind), str(tmp_path / "out"), 1)
    cost = tmp_path / "cost.jsonl"
    cost.write_text('{"step": 1, "left": "by a training that goes on from its beginning"}\n')
    trainer.add_callback(cost_recorder(trainer, cost))
    trainer.train()
    steps = [json.loads(line) for line in cost.read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 2]
    sides = [(q, text) for q, *both in ROWS for text in (both[:1] if kind in ("kto", "sft") else both)]
    whole = sum(length(chat, q, text) for q, text in sides)
    without_newline = whole - len(sides)
    expected = without_newline if kind in ("cpo", "simpo", "orpo", "sft") else whole
    assert [step["tokens"] for step in steps] == [expected] * 2
    assert all(step["tokens_per_second"] > 0 and step["peak_memory_gib"] > 0 for step in steps)
