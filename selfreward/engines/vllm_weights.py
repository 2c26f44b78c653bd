"""What vLLM is to load for a policy: the root model with a LoRA adapter beside it, or a model of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selfreward.engines.loading import ModelConfig, is_adapter, load_chat, load_merged
from selfreward.engines.vllm_messages import Start

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM's ``max_lora_rank`` may be."""


def with_weights(start: Start) -> tuple[dict[str, Any], bool]:
    """Arguments that make vLLM answer as the policy; and whether it has one model to itself, in which no adapter can be
    put in another's place."""
    arguments, weights = dict(start.arguments), start.serve.weights
    if weights is None:
        return arguments, False
    if not is_adapter(weights):
        return arguments | {"model": weights, "tokenizer": arguments["model"]}, True
    reason = "engine.merge_adapter is set" if start.merge_adapter else refused(weights)
    if reason is None:
        rank = next(rank for rank in _RANKS if rank >= rank_of(weights))
        return arguments | {"enable_lora": True, "max_lora_rank": rank, "max_loras": 1}, False
    print(f"selfreward: the adapter is merged before it is served: {reason}", flush=True)
    merged = _merge(start.model, weights, arguments["dtype"], Path(start.scratch))
    return arguments | {"model": merged}, True


def refused(adapter: str) -> str | None:
    """Why vLLM would not take the adapter beside the root model, in vLLM's words."""
    from vllm.config.lora import LoRAConfig
    from vllm.lora.peft_helper import PEFTHelper

    if rank_of(adapter) > _RANKS[-1]:
        return f"its rank is over {_RANKS[-1]}"
    try:
        helper = PEFTHelper.from_local_dir(adapter, max_position_embeddings=None)
        helper.validate_legal(LoRAConfig(max_lora_rank=_RANKS[-1]))
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def rank_of(adapter: str) -> int:
    config = json.loads((Path(adapter) / "adapter_config.json").read_text(encoding="utf-8"))
    return max([int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())])


def _merge(model: ModelConfig, adapter: str, dtype: str, directory: Path) -> str:
    """Root model and adapter as one model on disk; added up in float32 and on the CPU, the GPU being vLLM's."""
    import torch

    merged: Any = load_merged(model, Path(adapter), "float32", torch.device("cpu"))
    merged.to(getattr(torch, dtype)).save_pretrained(directory)
    load_chat(model).tokenizer.save_pretrained(directory)
    return str(directory)
