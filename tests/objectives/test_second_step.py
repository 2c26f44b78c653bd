"""The second step of each objective: by then policy and reference differ, and the loss is the formula of both."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from loss_bench import EXACT, PAIRS, Bench, labelled, log_sigmoid, mean, pairs
from pydantic import TypeAdapter

from selfreward.objectives import ObjectiveConfig

pytestmark = pytest.mark.slow

BETA = 0.1


class Side(NamedTuple):
    """One text under policy and reference: log-probabilities of its tokens."""

    policy: Any
    reference: Any
    concentration: Any
    """Of the policy at each token: log of the sum of squared probabilities."""

    @property
    def ratio(self) -> float:
        return float((self.policy - self.reference).sum())

    @property
    def ratio_a_token(self) -> float:
        return self.ratio / len(self.policy)


class Pair(NamedTuple):
    chosen: Side
    rejected: Side

    @property
    def margin(self) -> float:
        return BETA * (self.chosen.ratio - self.rejected.ratio)

    @property
    def rewards(self) -> tuple[float, float]:
        return BETA * self.chosen.ratio, BETA * self.rejected.ratio


def sigmoid(x: float) -> float:
    return math.exp(log_sigmoid(x))


def exo(pair: Pair, smoothing: float = 0.1) -> float:
    """KL of the policy's choice between the two from a choice that errs with ``smoothing``."""
    wins, loses = sigmoid(pair.margin), sigmoid(-pair.margin)
    return wins * (math.log(wins) - math.log(1 - smoothing)) + loses * (math.log(loses) - math.log(smoothing))


def nca(pair: Pair) -> float:
    chosen, rejected = pair.rewards
    return -log_sigmoid(chosen) - 0.5 * log_sigmoid(-chosen) - 0.5 * log_sigmoid(-rejected)


def discopop(pair: Pair, tau: float = 0.05) -> float:
    mixed = sigmoid(pair.margin / tau)
    return (1 - mixed) * -log_sigmoid(pair.margin) + mixed * math.exp(-pair.margin)


def length_desensitised(pair: Pair, alpha: float = 0.25) -> float:
    """LD-DPO: tokens beyond the shorter side's length count by ``alpha``."""
    shared = min(len(pair.chosen.policy), len(pair.rejected.policy))
    ratios = [side.policy - side.reference for side in pair]
    chosen, rejected = (float(ratio[:shared].sum() + alpha * ratio[shared:].sum()) for ratio in ratios)
    return -log_sigmoid(BETA * (chosen - rejected))


def weighted(pair: Pair) -> float:
    """WPO: by how likely the policy writes both sides, against how likely its own samples are."""
    weight = math.exp(sum(float((side.policy - side.concentration).mean()) for side in pair))
    return -weight * log_sigmoid(pair.margin)


def forward_kl(pair: Pair) -> float:
    chosen, rejected = (1 - math.exp(-side.ratio) for side in pair)
    return -log_sigmoid(BETA * (chosen - rejected))


def js_divergence(pair: Pair) -> float:
    chosen, rejected = (math.log(2) + log_sigmoid(side.ratio) for side in pair)
    return -log_sigmoid(BETA * (chosen - rejected))


OF_A_PAIR: dict[str, tuple[dict[str, Any], Callable[[Pair], float]]] = {
    "sigmoid": ({}, lambda p: -log_sigmoid(p.margin)),
    "hinge": ({}, lambda p: max(0.0, 1 - p.margin)),
    "ipo": ({}, lambda p: (p.chosen.ratio_a_token - p.rejected.ratio_a_token - 1 / (2 * BETA)) ** 2),
    "exo_pair": ({"label_smoothing": 0.1}, exo),
    "nca_pair": ({}, nca),
    "robust": (
        {"label_smoothing": 0.1},
        lambda p: (-0.9 * log_sigmoid(p.margin) + 0.1 * log_sigmoid(-p.margin)) / 0.8,
    ),
    "bco_pair": ({}, lambda p: -log_sigmoid(p.rewards[0]) - log_sigmoid(-p.rewards[1])),
    "sppo_hard": ({}, lambda p: (p.chosen.ratio - 0.5 / BETA) ** 2 + (p.rejected.ratio + 0.5 / BETA) ** 2),
    "apo_zero": ({}, lambda p: 1 - sigmoid(p.rewards[0]) + sigmoid(p.rewards[1])),
    "apo_down": ({}, lambda p: sigmoid(p.rewards[0]) + 1 - sigmoid(p.margin)),
    "discopop": ({}, discopop),
    "sigmoid_norm": ({}, lambda p: -log_sigmoid(BETA * (p.chosen.ratio_a_token - p.rejected.ratio_a_token))),
    "LD-DPO": ({"loss_type": "sigmoid", "ld_alpha": 0.25}, length_desensitised),
    "WPO": ({"loss_type": "sigmoid", "use_weighting": True}, weighted),
    "forward KL": ({"loss_type": "sigmoid", "f_divergence": "forward_kl"}, forward_kl),
    "Jensen-Shannon": ({"loss_type": "sigmoid", "f_divergence": "js_divergence"}, js_divergence),
}


@pytest.fixture
def bench(tiny_model: Path, tmp_path: Path) -> Bench:
    return Bench(tiny_model, tmp_path / "trainer")


def second_step(bench: Bench, data: Any, texts: list[tuple[str, str]], **settings: Any) -> tuple[float, list[Side]]:
    """TRL's loss of the second step, and what policy and reference said of the texts right before it."""
    from transformers import TrainerCallback

    config: Any = TypeAdapter(ObjectiveConfig).validate_python({"epochs": 2, **EXACT, "beta": BETA, **settings})
    trainer: Any = config.trainer(bench.policy(), bench.chat, data, str(bench.out), 1)
    before, sides = bench.policy(), list[Side]()

    class AfterFirst(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 1:
                for question, text in texts:
                    logps, concentration = bench.said(trainer.model, question, text)
                    sides.append(Side(logps, bench.said(before, question, text)[0], concentration))

    trainer.add_callback(AfterFirst())
    trainer.train()
    (_, second) = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert max(abs(side.ratio) for side in sides) > 1e-3, "the first step changed the policy"
    return second, sides


def dpo_step(bench: Bench, **settings: Any) -> tuple[float, list[Pair]]:
    loss, sides = second_step(bench, pairs(), [(q, text) for q, *both in PAIRS for text in both], **settings)
    return loss, [Pair(*sides[i : i + 2]) for i in range(0, len(sides), 2)]


@pytest.mark.parametrize("name", OF_A_PAIR)
def test_dpo(bench: Bench, name: str) -> None:
    settings, formula = OF_A_PAIR[name]
    loss, found = dpo_step(bench, **{"loss_type": name, **settings})
    assert loss == pytest.approx(mean([formula(pair) for pair in found]), rel=2e-5)


def test_losses_that_sort_the_pairs_of_a_batch(bench: Bench) -> None:
    loss, found = dpo_step(bench, loss_type="aot", label_smoothing=0.1)
    policy, reference = (
        sorted(float(getattr(p.chosen, who).sum() - getattr(p.rejected, who).sum()) for p in found)
        for who in ("policy", "reference")
    )
    margins = [BETA * (own - other) for own, other in zip(policy, reference, strict=True)]
    assert loss == pytest.approx(mean([-0.9 * log_sigmoid(m) - 0.1 * log_sigmoid(-m) for m in margins]), rel=2e-5)
    loss, found = dpo_step(bench, loss_type="aot_unpaired")
    chosen, rejected = (sorted(pair[side].ratio for pair in found) for side in (0, 1))
    margins = [BETA * (c - r) for c, r in zip(chosen, rejected, strict=True)]
    assert loss == pytest.approx(mean([-log_sigmoid(m) for m in margins]), rel=2e-5)


def test_a_mixture_adds_the_likelihood(bench: Bench) -> None:
    loss, found = dpo_step(bench, loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.5])
    logps = [float(logp) for pair in found for logp in pair.chosen.policy]
    assert loss == pytest.approx(mean([-log_sigmoid(p.margin) for p in found]) - 0.5 * mean(logps), rel=2e-5)


@pytest.mark.parametrize("loss_type", ["kto", "apo_zero_unpaired"])
def test_kto(bench: Bench, loss_type: str) -> None:
    """The divergence is estimated on each prompt with the other's response, and is never below zero."""
    own = [(PAIRS[0][0], PAIRS[0][1]), (PAIRS[1][0], PAIRS[1][2])]
    crossed = [(PAIRS[0][0], PAIRS[1][2]), (PAIRS[1][0], PAIRS[0][1])]
    loss, sides = second_step(bench, labelled(True, False), own + crossed, type="kto", loss_type=loss_type)
    wanted, unwanted, *others = sides
    divergence = max(0.0, mean([side.ratio for side in others])) if loss_type == "kto" else 0.0
    losses = [
        1 - sigmoid(BETA * (wanted.ratio - divergence)),
        1 - sigmoid(BETA * (divergence - unwanted.ratio)),
    ]
    assert loss == pytest.approx(mean(losses), rel=2e-5)
