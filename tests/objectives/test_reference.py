"""Whom preference training holds the policy to, and that no second model is in memory for it."""

import gc
import math
from pathlib import Path
from typing import Any

import pytest
from loss_bench import EXACT, PAIRS, Bench, labelled, log_sigmoid, mean, pairs
from pydantic import TypeAdapter

from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.reference import HeldConfig

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tiny_model: Path, tmp_path: Path) -> Bench:
    return Bench(tiny_model, tmp_path / "trainer")


def trainer(bench: Bench, held: str, data: Any, **settings: Any) -> Any:
    """Of the policy under an adapter, or of a whole one."""
    config = TypeAdapter(ObjectiveConfig).validate_python({"epochs": 2, **EXACT, **settings})
    assert isinstance(config, HeldConfig)
    arguments = (bench.chat, data, str(bench.out), 1)
    if held == "adapter":
        return config.at(1).trainer(bench.policy(), *arguments)  # type: ignore[attr-defined]
    return config.at(1).trainer(bench.whole(), *arguments, load_initial=bench.root)  # type: ignore[attr-defined]


def losses(made: Any) -> list[float]:
    made.train()
    return [entry["loss"] for entry in made.state.log_history if "loss" in entry]


def ratios(bench: Bench, policy: Any, reference: Any) -> list[float]:
    """Log-ratios of both sides of each pair, one after the other."""
    return [
        float(bench.said(policy, question, text)[0].sum() - bench.said(reference, question, text)[0].sum())
        for question, *sides in PAIRS
        for text in sides
    ]


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("held", ["adapter", "whole"])
def test_dpo_is_held_to_the_model_that_is_named(bench: Bench, held: str, epochs: int) -> None:
    of_root = ratios(bench, bench.policy() if held == "adapter" else bench.whole(), bench.root())
    assert max(map(abs, of_root)) > 0.05
    expected = mean([-log_sigmoid(0.1 * (c - r)) for c, r in zip(of_root[::2], of_root[1::2], strict=True)])
    initial = losses(trainer(bench, held, pairs(), epochs=epochs, reference="initial"))
    assert initial[0] == pytest.approx(expected, rel=1e-4)
    previous = losses(trainer(bench, held, pairs(), epochs=epochs, reference="previous"))
    assert previous[0] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize("reference", ["previous", "initial"])
@pytest.mark.parametrize("held", ["adapter", "whole"])
def test_kto_is_held_to_the_model_that_is_named(bench: Bench, held: str, reference: str) -> None:
    policy = bench.policy() if held == "adapter" else bench.whole()
    of_root = ratios(bench, policy, bench.root() if reference == "initial" else policy)
    good, bad = math.exp(log_sigmoid(0.1 * of_root[0])), math.exp(log_sigmoid(0.1 * of_root[3]))
    settings = {"type": "kto", "loss_type": "apo_zero_unpaired", "reference": reference}
    first, *_ = losses(trainer(bench, held, labelled(True, False), **settings))
    assert first == pytest.approx(mean([1 - good, bad]), rel=1e-4)


@pytest.mark.parametrize("reference", ["previous", "initial"])
@pytest.mark.parametrize("held", ["adapter", "whole"])
def test_the_reference_stays_what_it_was(bench: Bench, held: str, reference: str) -> None:
    """The second loss is that of the policy after one step against a model that was not trained."""
    made = trainer(bench, held, pairs(), reference=reference)
    before = bench.policy() if held == "adapter" else bench.whole()
    found: list[float] = []
    _at_first_step(made, lambda: found.extend(ratios(bench, made.model, _reference(bench, before, reference))))
    _, second = losses(made)
    expected = mean([-log_sigmoid(0.1 * (c - r)) for c, r in zip(found[::2], found[1::2], strict=True)])
    assert second == pytest.approx(expected, rel=2e-3)


def _reference(bench: Bench, before: Any, reference: str) -> Any:
    return before if reference == "previous" else bench.root()


def _at_first_step(made: Any, do: Any) -> None:
    from transformers import TrainerCallback

    class AfterFirst(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 1:
                do()

    made.add_callback(AfterFirst())


def parameters() -> dict[int, int]:
    """By their place in memory, the sizes of all parameters that anything holds."""
    import torch

    gc.collect()
    return {p.data_ptr(): p.numel() for p in gc.get_objects() if type(p) is torch.nn.Parameter}


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("reference", ["previous", "initial"])
@pytest.mark.parametrize("held", ["adapter", "whole"])
def test_no_second_model_is_in_memory_in_training(bench: Bench, held: str, reference: str, epochs: int) -> None:
    root = sum(weight.numel() for weight in bench.root().parameters())
    before = parameters()
    made = trainer(bench, held, pairs(), reference=reference, epochs=epochs)
    found: list[int] = []
    _at_first_step(made, lambda: found.append(sum(n for at, n in parameters().items() if at not in before)))
    made.train()
    beside = 0 if held == "whole" else sum(w.numel() for n, w in made.model.named_parameters() if "lora_" in n)
    assert beside < root / 10
    assert found == [root + beside]


def test_what_is_saved_is_the_adapter_that_was_trained(bench: Bench, tmp_path: Path) -> None:
    """TRL put it there anew, to have the root model without it."""
    import torch

    made = trainer(bench, "adapter", pairs(), reference="initial")
    started = {name: w.clone() for name, w in made.model.named_parameters() if "lora_" in name}
    policy = dict(bench.policy().named_parameters())
    assert all(torch.equal(weight, policy[name]) for name, weight in started.items())
    made.train()
    assert list(made.model.peft_config) == ["default"]
    assert any(not torch.equal(w, started[name]) for name, w in made.model.named_parameters() if name in started)


@pytest.mark.parametrize(("held", "epochs", "once"), [("adapter", 1, False), ("adapter", 2, True), ("whole", 1, True)])
def test_the_reference_is_asked_once_where_that_saves_something(
    bench: Bench, held: str, epochs: int, once: bool
) -> None:
    assert trainer(bench, held, pairs(), epochs=epochs).args.precompute_ref_log_probs is once


def test_m1_of_a_run_is_held_to_itself_where_it_is_m0(bench: Bench) -> None:
    config: Any = TypeAdapter(ObjectiveConfig).validate_python({"epochs": 1, **EXACT, "reference": "initial"})
    made = config.trainer(bench.root(), bench.chat, pairs(), str(bench.out), 1)
    assert losses(made)[0] == pytest.approx(math.log(2), abs=1e-5)
