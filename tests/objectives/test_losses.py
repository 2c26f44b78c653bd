"""Two steps of each objective on the tiny model: what TRL reports is the loss of the objective's own formula."""

import math
from pathlib import Path
from typing import Any

import pytest
from loss_bench import PAIRS, Bench, labelled, log_sigmoid, mean, pairs

from selfreward.engines.chat import Chat
from selfreward.records import Message

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tiny_model: Path, tmp_path: Path) -> Bench:
    return Bench(tiny_model, tmp_path / "trainer")


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


@pytest.mark.parametrize("loss", AT_START)
def test_every_loss_of_dpo_begins_where_its_formula_says(bench: Bench, loss: str) -> None:
    expected, settings = AT_START[loss]
    (first, second), _ = bench.first_losses(pairs(), type="dpo", loss_type=loss, **settings)
    assert first == pytest.approx(expected, abs=2e-4)
    assert second != first


def test_iterative_rpo_adds_the_likelihood_with_its_weight(bench: Bench) -> None:
    settings = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}
    (first, _), policy = bench.first_losses(pairs(), type="dpo", **settings)
    logps = [bench.said(policy, q, a)[0] for q, a, _ in PAIRS]
    nll = -sum(float(own.sum()) for own in logps) / sum(len(own) for own in logps)
    assert first == pytest.approx(math.log(2) + 0.5 * nll, rel=1e-4)


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
