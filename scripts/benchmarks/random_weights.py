"""Weights for a model directory that has none: for speed alone they are as good as trained ones."""

import shutil
from pathlib import Path


def with_weights(directory: Path, scratch: Path) -> Path:
    """A copy of a directory that holds ``config.json`` and a tokenizer, with random weights beside them."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    target = scratch / "model"
    shutil.copytree(directory, target)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory), dtype=torch.bfloat16)
    model.save_pretrained(target)
    return target
