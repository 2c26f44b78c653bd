"""Two steps of each objective on the tiny model: what TRL reports is the loss of the objective's own formula."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from selfreward.engines.chat import Chat
from selfreward.engines.loading import ModelConfig, load_chat
from selfreward.objectives import ObjectiveConfig
from selfreward.records import Message

pytestmark = pytest.mark.slow

PAIRS = [("Name a tree.", "An oak.", "A very long stone in the wood."), ("Say yes.", "Yes, of course I do.", "No.")]
EXACT = {"lr_scheduler": "constant", "learning_rate": 5e-3, "gradient_checkpointing": False, "batch_size": 2}


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
    """The tiny model under a new adapter that is not zero, so that policy and root model differ."""

    def __init__(self, directory: Path, out: Path) -> None:
        self._directory, self._out = directory, out
        self.chat = load_chat(ModelConfig(name=str(directory)))

    def policy(self) -> Any:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(0)
        weights: Any = AutoModelForCausalLM.from_pretrained(self._directory, dtype="float32")
        model: Any = get_peft_model(weights, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules="all-linear"))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02)
        return model

    def logps(self, model: Any, question: str, answer: str, *, through_newline: bool = False) -> Any:
        """Log-probabilities of the answer's tokens, without what the template writes after the end of the turn."""
        import torch

        messages = [Message(role="user", content=question), Message(role="assistant", content=answer)]
        ((ids, start, _),) = self.chat.encode_targets([messages])
        if through_newline:  # TRL's own tokenising of turns has it
            ids = self.chat.encode([messages], open_turn=False)[0]
        device = next(model.parameters()).device
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids], device=device)).logits[0, :-1]
        found = torch.log_softmax(logits.float(), -1).gather(1, torch.tensor(ids[1:], device=device)[:, None])[:, 0]
        return found[start - 1 :]

    def first_losses(self, data: Any, **settings: Any) -> tuple[list[float], Any]:
        """What TRL reports of two steps, and the policy as it was before them."""
        config: ObjectiveConfig = TypeAdapter(ObjectiveConfig).validate_python({"epochs": 2, **EXACT, **settings})
        trainer: Any = config.at(1).trainer(self.policy(), self.chat, data, str(self._out), 1)
        trainer.train()
        steps = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        assert len(steps) == 2
        assert all(map(math.isfinite, steps))
        return steps, self.policy()


@pytest.fixture
def bench(tiny_model: Path, tmp_path: Path) -> Bench:
    return Bench(tiny_model, tmp_path / "trainer")


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


AT_START = {  # where policy and reference are the same: the log-ratios are 0
    "sigmoid": (math.log(2), {}),
    "hinge": (1.0, {}),
    "ipo": (25.0, {}),
    "exo_pair": (0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1), {"label_smoothing": 0.1}),
    "nca_pair": (2 * math.log(2), {}),
    "robust": (math.log(2), {"label_smoothing": 0.1}),
    "bco_pair": (2 * math.log(2), {}),
    "sppo_hard": (50.0, {}),
    "aot": (math.log(2), {}),
    "aot_unpaired": (math.log(2), {}),
    "apo_zero": (1.0, {}),
    "apo_down": (1.0, {}),
    "discopop": (0.5 * math.log(2) + 0.5, {}),
    "sigmoid_norm": (math.log(2), {}),
}
OF_DIFFERENCES: dict[str, Callable[[float, float], float]] = {
    "sigmoid": lambda c, r: -log_sigmoid(0.1 * (c - r)),
    "hinge": lambda c, r: max(0.0, 1 - 0.1 * (c - r)),
    "sppo_hard": lambda c, r: (c - 5.0) ** 2 + (r + 5.0) ** 2,
    "apo_zero": lambda c, r: 1 - math.exp(log_sigmoid(0.1 * c)) + math.exp(log_sigmoid(0.1 * r)),
}


@pytest.mark.parametrize("loss", AT_START)
def test_every_loss_of_dpo_begins_where_its_formula_says(bench: Bench, loss: str) -> None:
    expected, settings = AT_START[loss]
    (first, second), _ = bench.first_losses(pairs(), type="dpo", loss_type=loss, **settings)
    assert first == pytest.approx(expected, abs=2e-4)
    assert second != first


def test_iterative_rpo_adds_the_likelihood_with_its_weight(bench: Bench) -> None:
    settings = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}
    (first, _), policy = bench.first_losses(pairs(), type="dpo", **settings)
    logps = [bench.logps(policy, q, a, through_newline=True) for q, a, _ in PAIRS]
    nll = -sum(float(own.sum()) for own in logps) / sum(len(own) for own in logps)
    assert first == pytest.approx(math.log(2) + 0.5 * nll, rel=1e-4)


@pytest.mark.parametrize("loss", OF_DIFFERENCES)
def test_the_second_step_holds_the_policy_against_the_reference(bench: Bench, loss: str) -> None:
    """A step changes the policy, and the loss after it is the formula's of log-ratios against M_t."""
    config: Any = TypeAdapter(ObjectiveConfig).validate_python({"epochs": 2, **EXACT, "loss_type": loss})
    trainer: Any = config.trainer(bench.policy(), bench.chat, pairs(), str(bench._out), 1)
    before = bench.policy()
    ratios: list[float] = []

    def measure(model: Any) -> None:
        policy = trainer.model
        ratios[:] = [
            float(bench.logps(policy, q, text, through_newline=True).sum())
            - float(bench.logps(before, q, text, through_newline=True).sum())
            for q, *sides in PAIRS
            for text in sides
        ]

    from transformers import TrainerCallback

    class AfterFirst(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 1:
                measure(kwargs["model"])

    trainer.add_callback(AfterFirst())
    trainer.train()
    (_, second) = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    expected = mean([OF_DIFFERENCES[loss](ratios[2 * i], ratios[2 * i + 1]) for i in range(len(PAIRS))])
    assert second == pytest.approx(expected, rel=2e-3)
    assert max(map(abs, ratios)) > 1e-3


@pytest.mark.parametrize("settings", [{}, {"nll_weight": 0.0}, {"loss_type": "hinge"}, {"label_smoothing": 0.1}])
def test_cpo(bench: Bench, settings: dict[str, Any]) -> None:
    (first, second), policy = bench.first_losses(pairs(), type="cpo", beta=0.1, **settings)
    chosen, rejected = ([bench.logps(policy, row[0], row[i]) for row in PAIRS] for i in (1, 2))
    margins = [0.1 * float(c.sum() - r.sum()) for c, r in zip(chosen, rejected, strict=True)]
    smoothing = settings.get("label_smoothing", 0.0)
    losses = [-(1 - smoothing) * log_sigmoid(m) - smoothing * log_sigmoid(-m) for m in margins]
    if settings.get("loss_type") == "hinge":
        losses = [max(0.0, 1 - m) for m in margins]
    nll = -sum(float(c.sum()) for c in chosen) / sum(len(c) for c in chosen)
    assert first == pytest.approx(mean(losses) + settings.get("nll_weight", 1.0) * nll, rel=1e-4)
    assert second != first


@pytest.mark.parametrize(("beta", "gamma", "nll_weight"), [(2.0, 1.0, 0.0), (2.5, 0.5, 0.0), (2.0, 1.0, 0.5)])
def test_simpo(bench: Bench, beta: float, gamma: float, nll_weight: float) -> None:
    settings = {"beta": beta, "gamma": gamma, "nll_weight": nll_weight}
    (first, _), policy = bench.first_losses(pairs(), type="simpo", **settings)
    chosen, rejected = ([bench.logps(policy, row[0], row[i]) for row in PAIRS] for i in (1, 2))
    margins = [float(c.mean() - r.mean()) for c, r in zip(chosen, rejected, strict=True)]
    nll = -sum(float(c.sum()) for c in chosen) / sum(len(c) for c in chosen)
    assert first == pytest.approx(mean([-log_sigmoid(beta * m - gamma) for m in margins]) + nll_weight * nll, rel=1e-4)


def test_orpo(bench: Bench) -> None:
    import torch

    (first, _), policy = bench.first_losses(pairs(), type="orpo", beta=0.2)
    chosen, rejected = ([bench.logps(policy, row[0], row[i]).mean() for row in PAIRS] for i in (1, 2))

    def odds(logp: Any) -> float:
        return float(logp - torch.log1p(-torch.exp(logp)))

    ratio = mean([log_sigmoid(odds(c) - odds(r)) for c, r in zip(chosen, rejected, strict=True)])
    whole = [whole_logps(bench.chat, policy, q, a) for q, a, _ in PAIRS]
    nll = -sum(float(own.sum()) for own in whole) / sum(len(own) for own in whole)
    assert first == pytest.approx(nll - 0.2 * ratio, rel=1e-4)


def whole_logps(chat: Chat, model: Any, question: str, answer: str) -> Any:
    """Of prompt and answer, the first token apart."""
    import torch

    messages = [Message(role="user", content=question), Message(role="assistant", content=answer)]
    ((ids, _, _),) = chat.encode_targets([messages])
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids], device=device)).logits[0, :-1]
    return torch.log_softmax(logits.float(), -1).gather(1, torch.tensor(ids[1:], device=device)[:, None])[:, 0]


@pytest.mark.parametrize(("weights", "expected"), [((1.0, 1.0), 0.5), ((2.0, 1.0), 0.75)])
@pytest.mark.parametrize("loss", ["kto", "apo_zero_unpaired"])
def test_kto(bench: Bench, loss: str, weights: tuple[float, float], expected: float) -> None:
    settings = {"loss_type": loss, "desirable_weight": weights[0], "undesirable_weight": weights[1]}
    (first, second), _ = bench.first_losses(labelled(True, False), type="kto", **settings)
    assert first == pytest.approx(expected, abs=1e-4)  # 1 - sigmoid(0) a response, weighed
    assert second != first


def test_sft_learns_the_response_alone(bench: Bench) -> None:
    (first, second), policy = bench.first_losses(labelled(True, True), type="sft")
    logps = [bench.logps(policy, q, a) for q, a, _ in PAIRS]
    nll = -sum(float(own.sum()) for own in logps) / sum(len(own) for own in logps)
    assert first == pytest.approx(nll, rel=1e-4)
    assert second < first


@pytest.mark.parametrize("kind", ["dpo", "cpo", "simpo", "orpo"])
def test_micro_batches_make_one_step_with_the_same_loss(bench: Bench, kind: str) -> None:
    """What is reported is the mean over micro batches; sides of one length make it that of the whole batch."""
    (whole, _), _ = bench.first_losses(pairs(), type=kind, **({"nll_weight": 0.0} if kind == "cpo" else {}))
    settings = {"micro_batch_size": 1, **({"nll_weight": 0.0} if kind == "cpo" else {})}
    (parts, _), _ = bench.first_losses(pairs(), type=kind, **settings)
    assert parts == pytest.approx(whole, rel=0.05 if kind == "orpo" else 1e-3)
