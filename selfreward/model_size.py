"""Where the root model comes from and how large its adapter will be, without loading it."""

import json
from pathlib import Path
from typing import Any

from selfreward.builtin_model import BUILTIN_NAME, DIRECTORY_NAME, cache_root
from selfreward.engines.loading import ModelConfig
from selfreward.models import resolve_model
from selfreward.objectives.optimiser import LoraConfig


def root_model(model: ModelConfig) -> tuple[str, dict[str, Any] | None]:
    """Where the model comes from, and its own config if that is on this machine."""
    if model.name == BUILTIN_NAME:
        directory = cache_root() / "models" / DIRECTORY_NAME
        where = f"{model.name} ({'in the cache' if directory.exists() else 'converted when the run starts'})"
    elif model.name.startswith("builtin:") or Path(model.name).expanduser().exists() or model.name[0] in "/.~":
        directory = Path(resolve_model(model.name, model.revision).path)
        where = f"{model.name} (a directory)"
    else:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(model.name, "config.json", revision=model.revision)
        directory = Path(cached).parent if isinstance(cached, str) else Path()
        where = f"{model.name} (from the Hub{', in its cache' if isinstance(cached, str) else ''})"
    try:
        found: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return where, None
    return where, found


def adapter_bytes(model: dict[str, Any] | None, lora: LoraConfig) -> int | None:
    """Size of an adapter on all linear layers of a Llama-like model, in float32."""
    if model is None:
        return None
    try:
        hidden, inner, layers = model["hidden_size"], model["intermediate_size"], model["num_hidden_layers"]
        heads = model["num_attention_heads"]
        head = model.get("head_dim") or hidden // heads
        keys = head * (model.get("num_key_value_heads") or heads)
    except (KeyError, TypeError):  # another architecture
        return None
    attention = 2 * (hidden + head * heads) + 2 * (hidden + keys)
    return int(4 * lora.r * layers * (attention + 3 * (hidden + inner)))
