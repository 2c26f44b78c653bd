"""What vLLM is given to load for a policy. vLLM itself is asked in test_vllm_real.py."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfreward.engines import vllm_weights
from selfreward.engines.loading import ModelConfig
from selfreward.engines.vllm_messages import Serve, Start
from selfreward.engines.vllm_weights import with_weights


def start(weights: Path | None, *, model: str = "root", scratch: str = "", merge: bool = False) -> Start:
    arguments = {"model": "the root", "dtype": "float32"}
    serve = Serve(None if weights is None else str(weights), 1)
    return Start(arguments, serve, merge, ModelConfig(name=model), scratch)


def adapter(directory: Path, **config: Any) -> Path:
    (directory / "adapter_config.json").write_text(json.dumps({"r": 12, **config}), encoding="utf-8")
    return directory


def test_an_adapter_that_it_takes_stands_beside_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_weights, "refused", lambda weights: None)
    found, alone = with_weights(start(adapter(tmp_path)))
    assert not alone
    assert (found["model"], found["enable_lora"], found["max_lora_rank"]) == ("the root", True, 16)
    assert with_weights(start(None)) == ({"model": "the root", "dtype": "float32"}, False)


def test_a_whole_model_is_loaded_in_the_roots_place_with_the_roots_tokenizer(tmp_path: Path) -> None:
    found, alone = with_weights(start(tmp_path))
    assert alone
    assert found == {"model": str(tmp_path), "tokenizer": "the root", "dtype": "float32"}


@pytest.mark.slow
def test_dora_is_merged(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from peft import PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    from selfreward.objectives.optimiser import LoraConfig

    torch.manual_seed(0)
    model: Any = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32),
        LoraConfig(use_dora=True).peft("CAUSAL_LM"),
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    model.save_pretrained(tmp_path / "dora")
    monkeypatch.setattr(vllm_weights, "refused", lambda weights: "vLLM does not yet support DoRA")
    found, alone = with_weights(start(tmp_path / "dora", model=str(tiny_model), scratch=str(tmp_path / "merged")))
    assert alone
    assert found["model"] == str(tmp_path / "merged")
    root = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    over: Any = PeftModel.from_pretrained(root, str(tmp_path / "dora"))
    ids = torch.tensor([[1, 4093, 198, 520, 530]])
    with torch.no_grad():
        merged = AutoModelForCausalLM.from_pretrained(found["model"], dtype=torch.float32)(input_ids=ids).logits
        assert torch.allclose(merged, over(input_ids=ids).logits, atol=1e-4)
        with over.disable_adapter():
            assert not torch.allclose(merged, over(input_ids=ids).logits, atol=1e-2)
