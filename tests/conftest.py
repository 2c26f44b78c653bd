"""What many tests need: a real tokenizer, a tiny model with random weights, and recipes for it."""

import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfreward.engines.chat import Chat
from selfreward.engines.loading import ModelConfig, load_chat
from selfreward.errors import ModelError
from selfreward.models import resolve_model
from selfreward.resources import find

BUILTIN = "builtin:smollm2-135m-instruct"


@pytest.fixture(scope="session")
def builtin_model() -> Path:
    """Directory of the real small model."""
    try:
        return Path(resolve_model(BUILTIN).path)
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def chat(builtin_model: Path) -> Chat:
    """The real small model's tokenizer and chat template."""
    return load_chat(ModelConfig(name=str(builtin_model)))


@pytest.fixture(scope="session")
def tiny_model(builtin_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a Llama of two layers with random weights and a real tokenizer.

    The first dimension of every embedding is a large constant, so that the first column of the output layer acts as a
    bias: it makes English words and the end of a turn likely, and prompts and responses come out as short word soup.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(builtin_model)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(0, 0.5)
        model.model.embed_tokens.weight[:, 0] = 4.0
        model.lm_head.weight.normal_(0, 0.3)
        model.lm_head.weight[:, 0] = torch.tensor(_word_prior(tokenizer)) / 4.6
    directory = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _word_prior(tokenizer: Any) -> list[float]:
    text = find("seeds", "ift.jsonl").read_text(encoding="utf-8")
    words = re.findall(r" [a-z]{2,}", text)
    counts = Counter(i for ids in tokenizer(words, add_special_tokens=False)["input_ids"] for i in ids if len(ids) == 1)
    prior = [-16.0] * len(tokenizer)
    for token, count in counts.items():
        prior[token] = math.log(count / counts.total())
    for digit in range(6):
        prior[tokenizer.convert_tokens_to_ids(str(digit))] = -6.0
    prior[tokenizer.eos_token_id] = math.log(0.08)
    return prior


MakeRecipe = Callable[..., Path]


@pytest.fixture(scope="session")
def make_recipe(tiny_model: Path) -> MakeRecipe:
    """Writes a recipe of two iterations on the tiny model into a directory; dotted changes go on top."""

    def make(directory: Path, **changes: Any) -> Path:
        path = directory / "tiny.yaml"
        recipe = {**_TINY_RECIPE, "model": str(tiny_model), "runs_dir": str(directory / "runs"), **changes}
        path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
        return path

    return make


_TINY_RECIPE = {
    "iterations": 2,
    "shard_size": 3,
    "seeds": {"ift": str(find("seeds", "ift.jsonl")), "eft": str(find("seeds", "eft.jsonl"))},
    "engine": {"type": "transformers", "batch_size": 8},
    "lora": {"r": 4, "alpha": 8},
    "sft": {"max_tokens": 3000, "batch_size": 4, "learning_rate": 1.0e-3},
    "prompts": {"count": 6, "max_tokens": 16, "temperature": 1.0, "top_p": 1.0},
    "responses": {"n": 3, "max_tokens": 48, "temperature": 1.0, "top_p": 1.0},
    "judge": {"method": {"type": "expected", "min_mass": 0.0}},
    "dpo": {"batch_size": 2, "micro_batch_size": 2, "learning_rate": 1.0e-3, "epochs": 2},
}
