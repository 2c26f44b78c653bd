"""Where the root model comes from and how large what is trained will be, without loading it."""

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


def trained_bytes(model: dict[str, Any] | None, lora: LoraConfig | None) -> int | None:
    """What an iteration's training writes, in float32: an adapter on all linear layers of a Llama-like model, or all
    weights of one; None where the architecture is not known."""
    if model is None:
        return None
    try:
        hidden, inner, layers = model["hidden_size"], model["intermediate_size"], model["num_hidden_layers"]
        heads = model["num_attention_heads"]
        head = model.get("head_dim") or hidden // heads
        keys = head * (model.get("num_key_value_heads") or heads)
        queries = head * heads
        linear = [(hidden, queries), (queries, hidden), *[(hidden, keys)] * 2, *[(hidden, inner)] * 2, (inner, hidden)]
        if lora is not None:
            lengths = sum(out for _, out in linear) if lora.use_dora else 0
            return int(4 * layers * (lora.r * sum(map(sum, linear)) + lengths))
        matrices = 1 if model.get("tie_word_embeddings") else 2
        embeddings = matrices * model["vocab_size"] * hidden
        return int(4 * (layers * (sum(a * b for a, b in linear) + 2 * hidden) + embeddings + hidden))
    except (KeyError, TypeError):  # another architecture
        return None
