import json
from pathlib import Path

import pytest

from selfreward.engines.loading import ModelConfig, context_length, load_chat, torch_dtype
from selfreward.errors import ModelError


def test_context_is_the_smaller_of_the_models_and_the_users(builtin_model: Path) -> None:
    config = ModelConfig(name=str(builtin_model))
    own = json.loads((builtin_model / "config.json").read_text())["max_position_embeddings"]
    assert context_length(config, None) == own
    assert context_length(config, 100) == 100
    assert context_length(config, own + 1) == own


def test_a_chat_template_from_a_file_takes_the_place_of_the_models(builtin_model: Path, tmp_path: Path) -> None:
    template = tmp_path / "template.jinja"
    template.write_text("{% for m in messages %}[{{ m.role }}|{{ mood }}]{{ m.content }}{% endfor %}")
    config = ModelConfig(name=str(builtin_model), chat_template=str(template), chat_template_kwargs={"mood": "calm"})
    chat = load_chat(config)
    from selfreward.records import Message

    (ids,) = chat.encode([[Message(role="user", content="hi")]])
    assert chat.tokenizer.decode(ids) == "[user|calm]hi"
    assert chat.fingerprint != load_chat(ModelConfig(name=str(builtin_model))).fingerprint


def test_a_chat_template_that_is_not_there(builtin_model: Path, tmp_path: Path) -> None:
    config = ModelConfig(name=str(builtin_model), chat_template=str(tmp_path / "none.jinja"))
    with pytest.raises(ModelError, match=r"model\.chat_template: .*none\.jinja: No such file"):
        load_chat(config)


def test_auto_is_float32_on_a_cpu() -> None:
    import torch

    if torch.accelerator.is_available():
        pytest.skip("this machine has an accelerator")
    assert torch_dtype("auto") == torch.float32
    assert torch_dtype("bfloat16") == torch.bfloat16
