"""A merged model stands by itself and says what the adapter over the root model says."""

from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRecipe
from fixture_run import Command

from selfreward.errors import StoreError
from selfreward.merging import merge
from selfreward.storage.run import RunStore

pytestmark = pytest.mark.slow


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([[1, 4093, 198, 520, 530]])).logits


def test_a_merged_model_is_the_adapter_over_its_root(
    command: Command, make_recipe: MakeRecipe, tiny_model: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    recipe = make_recipe(tmp_path, iterations=0)
    assert command("run", str(recipe), "--set", "sft.max_tokens=800")[0] == 0
    out = tmp_path / "merged"
    code, _, err = command("merge", "tiny", "-i", "0", "-o", str(out))
    assert code == 0, err
    assert {path.suffix for path in out.iterdir()} <= {".safetensors", ".json", ".jinja", ".md", ".txt"}
    merged = AutoModelForCausalLM.from_pretrained(out)
    root = AutoModelForCausalLM.from_pretrained(tiny_model)
    plain = logits(root)
    over: Any = PeftModel.from_pretrained(root, str(tmp_path / "runs/tiny/iter-000/adapter"))
    assert torch.allclose(logits(merged), logits(over), atol=1e-5)
    assert not torch.allclose(logits(merged), plain, atol=1e-3)
    tokenizer: Any = AutoTokenizer.from_pretrained(out)
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(tiny_model).chat_template
    card = (out / "README.md").read_text()
    assert "M1 of a self-rewarding run" in card
    assert str(tmp_path) not in card
    assert str(tiny_model.parent) not in card
    assert not list(tmp_path.glob(".tmp-*"))
    code, _, err = command("merge", "tiny", "-i", "0", "-o", str(out))
    assert (code, "is there already" in err) == (1, True)


def test_what_was_not_trained_is_not_merged(unfinished_run: RunStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"has trained nothing; go on with the run"):
        merge(unfinished_run, 3, tmp_path / "out")
