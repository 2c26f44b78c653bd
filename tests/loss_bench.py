"""The tiny model, trained for two steps, and what its log-probabilities are."""

import math
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from selfreward.engines.loading import ModelConfig, load_chat
from selfreward.objectives import ObjectiveConfig
from selfreward.records import Message

PAIRS = [("Name a tree.", "An oak.", "A very long stone in the wood."), ("Say yes.", "Yes, of course I do.", "No.")]
EXACT = {"lr_scheduler": "constant", "learning_rate": 5e-3, "batch_size": 2}
EXACT |= {"gradient_checkpointing": False, "save_steps": None}


def turn(role: Any, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def pairs() -> Any:
    from datasets import Dataset

    rows = [
        {"prompt": [turn("user", q)], "chosen": [turn("assistant", a)], "rejected": [turn("assistant", b)]}
        for q, a, b in PAIRS
    ]
    return Dataset.from_list(rows)


def labelled(*labels: bool) -> Any:
    from datasets import Dataset

    texts = [(q, a if label else b) for (q, a, b), label in zip(PAIRS, labels, strict=True)]
    rows = [
        {"prompt": [turn("user", q)], "completion": [turn("assistant", text)], "label": label}
        for (q, text), label in zip(texts, labels, strict=True)
    ]
    return Dataset.from_list(rows)


class Bench:
    """The tiny model, changed by an adapter or in all its weights, so that the policy differs from its root."""

    def __init__(self, directory: Path, out: Path) -> None:
        self._directory, self.out = directory, out
        self.chat = load_chat(ModelConfig(name=str(directory)))

    def root(self) -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(self._directory, dtype="float32")

    def whole(self) -> Any:
        import torch

        torch.manual_seed(0)
        model = self.root()
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.02)
        return model

    def policy(self) -> Any:
        import torch
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(0)
        model: Any = get_peft_model(self.root(), LoraConfig(task_type="CAUSAL_LM", r=2, target_modules="all-linear"))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02)
        return model

    def logps(self, model: Any, question: str, answer: str) -> Any:
        """Log-probabilities of the answer's tokens, without what the template writes after the end of the turn."""
        ((ids, start, _),) = self.chat.encode_targets([turns(question, answer)])
        return _of_tokens(model, ids, start)[0]

    def said(self, model: Any, question: str, answer: str) -> tuple[Any, Any]:
        """The same with the newline after the turn, as TRL's own tokenising has it; and at each of these tokens the log
        of the sum of all tokens' squared probabilities."""
        both = turns(question, answer)
        ((_, start, _),) = self.chat.encode_targets([both])
        return _of_tokens(model, self.chat.encode([both], open_turn=False)[0], start)

    def first_losses(self, data: Any, **settings: Any) -> tuple[list[float], Any]:
        """What TRL reports of two steps, and the policy as it was before them."""
        config: ObjectiveConfig = TypeAdapter(ObjectiveConfig).validate_python({"epochs": 2, **EXACT, **settings})
        trainer: Any = config.at(1).trainer(self.policy(), self.chat, data, str(self.out), 1)
        trainer.train()
        steps = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        assert len(steps) == 2
        assert all(map(math.isfinite, steps))
        return steps, self.policy()


def turns(question: str, answer: str) -> list[Message]:
    return [Message(role="user", content=question), Message(role="assistant", content=answer)]


def _of_tokens(model: Any, ids: list[int], start: int) -> tuple[Any, Any]:
    import torch

    device = next(model.parameters()).device
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids], device=device)).logits[0, start - 1 : -1]
    logps = torch.log_softmax(logits.float(), -1)
    written = logps.gather(1, torch.tensor(ids[start:], device=device)[:, None])[:, 0]
    return written, (2 * logps).logsumexp(-1)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))
