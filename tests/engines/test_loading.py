import json
import shutil
from pathlib import Path

import pytest

from selfreward.engines.loading import ModelConfig, context_length, dtype_name, eos_ids, load_chat, training_dtype
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
    with_amx = torch.cpu.get_capabilities().get("amx_bf16")
    assert dtype_name("auto") == ("bfloat16" if with_amx else "float32")
    assert dtype_name("float16") == "float16"


@pytest.mark.parametrize(("amx", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_on_cpus_with_units(monkeypatch: pytest.MonkeyPatch, amx: bool, expected: str) -> None:
    import torch

    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx, "avx512_bf16": True})
    assert dtype_name("auto") == expected
    assert training_dtype() == "float32"


def test_a_turn_ends_with_the_models_tokens_and_the_tokenizers(builtin_model: Path, tmp_path: Path) -> None:
    config = ModelConfig(name=str(builtin_model))
    chat = load_chat(config)
    own = chat.tokenizer.eos_token_id
    assert own in eos_ids(config, chat)
    model = tmp_path / "model"
    shutil.copytree(builtin_model, model)
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 9]}))
    other = ModelConfig(name=str(model))
    assert eos_ids(other, chat) == tuple(sorted({7, 9, own}))
    (model / "generation_config.json").unlink()
    assert own in eos_ids(other, chat)
