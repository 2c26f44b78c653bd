"""How weights are held in training: what PEFT is told, and what a job over all weights makes."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfreward.engines.driver import ask
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import NextToken, Request
from selfreward.engines.transformers import TransformersConfig, TransformersEngine
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.objectives.sft import SFTConfig
from selfreward.records import Example, Message, PreferencePair
from selfreward.storage.tables import write_table
from selfreward.training.job import TrainingJob, TrainingResult
from selfreward.training.process import train
from selfreward.training.weights import _first_place, initial_model, load_policy

pytestmark = pytest.mark.slow
QUESTION, ANSWER = Message(role="user", content="Say it."), Message(role="assistant", content="yes yes")


def example(n: int) -> Example:
    ids = (1, 4093, 198, 97, 2, 198, 520 + n, 530, 2)
    return Example(id=f"e{n}", seed_id="s", kind="ift", messages=(QUESTION, ANSWER), input_ids=ids, response_start=6)


def pair(n: int) -> PreferencePair:
    return PreferencePair(
        id=f"pair{n}",
        prompt=(QUESTION,),
        chosen=(ANSWER,),
        rejected=(Message(role="assistant", content="no"),),
        prompt_id=f"p{n}",
        chosen_id=f"c{n}",
        rejected_id=f"r{n}",
        chosen_score=4,
        rejected_score=1,
        margin=3,
        chosen_token_ids=(1,),
        rejected_token_ids=(2,),
        retokenised=False,
    )


class Trained:
    """Training of the tiny model in directories side by side."""

    def __init__(self, model: Path, directory: Path) -> None:
        self.model, self._directory = model, directory

    def job(self, objective: Any, lora: LoraConfig | None, parent: Path | None = None) -> TrainingJob:
        sft = isinstance(objective, SFTConfig)
        rows: list[Any] = [example(n) if sft else pair(n) for n in range(4)]
        data = self._directory / f"{objective.type}.parquet"
        write_table(data, rows, type(rows[0]))
        return TrainingJob(
            section="sft" if sft else "train",
            objective=objective,
            model=ModelConfig(name=str(self.model)),
            parent=None if parent is None else str(parent),
            lora=lora,
            data=(str(data),),
            seed=1,
        )

    def __call__(self, name: str, job: TrainingJob) -> tuple[Path, TrainingResult]:
        out = self._directory / name
        result = train(job, "k", out, lambda *_: None, print)
        return out / job.makes, result

    def next_tokens(self, weights: Path | None) -> list[float]:
        engine = TransformersEngine(ModelConfig(name=str(self.model)), TransformersConfig(dtype="float32"))
        engine.use(weights)
        (answer,) = ask(engine, [Request((QUESTION,))], NextToken((5, 520, 530)))
        return list(answer.logprobs)


@pytest.fixture
def trained(tiny_model: Path, tmp_path: Path) -> Trained:
    return Trained(tiny_model, tmp_path)


SFT = SFTConfig(batch_size=2, epochs=2, learning_rate=1e-2)
DPO = DPOConfig(batch_size=2, epochs=2, learning_rate=1e-3)


@pytest.mark.parametrize(
    "lora", [LoraConfig(r=2, use_dora=True), LoraConfig(r=4, use_rslora=True), LoraConfig(r=4, use_dora=True)]
)
def test_kinds_of_adapters_are_trained_on_and_served(trained: Trained, lora: LoraConfig) -> None:
    from safetensors.torch import load_file

    first, _ = trained("sft", trained.job(SFT, lora))
    config = json.loads((first / "adapter_config.json").read_text())
    assert (config["use_dora"], config["use_rslora"], config["r"]) == (lora.use_dora, lora.use_rslora, lora.r)
    second, result = trained("dpo", trained.job(DPO, lora, first))
    assert result.steps[0]["loss"] == pytest.approx(0.6931, abs=1e-3), "the reference has the lengths as well"
    weights = load_file(second / "adapter_model.safetensors")
    assert any("magnitude" in name for name in weights) == lora.use_dora
    assert not any(".ref." in name for name in weights)
    found = [trained.next_tokens(path) for path in (None, first, second)]
    assert found[0] != pytest.approx(found[1], abs=1e-3)
    assert found[1] != pytest.approx(found[2], abs=1e-4)


def test_rslora_scales_by_the_root_of_the_rank(trained: Trained) -> None:
    def scaling(**lora: Any) -> float:
        policy = load_policy(trained.job(SFT, LoraConfig(r=4, alpha=8, **lora)))
        return float(policy.base_model.model.model.layers[0].self_attn.q_proj.scaling["default"])

    assert (scaling(), scaling(use_rslora=True)) == (2.0, 4.0)


def test_all_weights_are_trained_in_float32_from_the_parents(trained: Trained) -> None:
    import torch
    from safetensors.torch import load_file

    first, result = trained("sft", trained.job(SFT, None))
    assert result.steps[-1]["loss"] < result.steps[0]["loss"]
    job = trained.job(DPO, None, first)
    parent, saved = load_policy(job), load_file(first / "model.safetensors")
    assert all(torch.equal(weight, saved[name]) for name, weight in parent.named_parameters())
    assert {weight.dtype for weight in parent.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in parent.parameters())
    root = load_file(trained.model / "model.safetensors")
    load = initial_model(job)
    assert load is not None
    assert all(torch.equal(weight, root[name]) for name, weight in load().named_parameters())
    second, result = trained("dpo", job)
    assert result.steps[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    found = [trained.next_tokens(path) for path in (None, first, second)]
    assert found[0] != pytest.approx(found[1], abs=1e-3)
    assert found[1] != pytest.approx(found[2], abs=1e-4)


def test_the_first_loss_against_m0_is_not_that_against_the_parent(trained: Trained) -> None:
    against_root = DPO.model_copy(update={"reference": "initial"})
    for name, lora in (("adapter", LoraConfig(r=4)), ("model", None)):
        first, _ = trained(f"sft-{name}", trained.job(SFT, lora))
        _, result = trained(f"dpo-{name}", trained.job(against_root, lora, first))
        assert abs(result.steps[0]["loss"] - 0.6931) > 1e-3


def test_only_a_whole_model_that_is_not_m0_loads_m0(trained: Trained, tmp_path: Path) -> None:
    assert initial_model(trained.job(DPO, None)) is None
    assert initial_model(trained.job(DPO, LoraConfig(), tmp_path)) is None


@pytest.mark.parametrize(("how", "place"), [(None, None), ("FSDP", "cpu"), ("DEEPSPEED", "cpu")])
def test_weights_that_are_spread_over_processes_are_loaded_in_main_memory(
    monkeypatch: pytest.MonkeyPatch, how: str | None, place: str | None
) -> None:
    if how is not None:
        monkeypatch.setenv(f"ACCELERATE_USE_{how}", "true")
    found = _first_place()
    assert (None if found is None else found.type) == place
