"""What all objectives share: the optimiser's settings, and their translation for TRL."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from selfreward.engines.loading import torch_device, training_dtype
from selfreward.records import Frozen, NotInKey


class LoraConfig(Frozen):
    """The adapter that is trained, through PEFT."""

    r: int = Field(default=16, ge=1)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """The adapter's output is scaled by alpha / r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input, in SFT."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Which layers get an adapter."""


class OptimiserConfig(Frozen):
    """AdamW over the adapter's weights."""

    epochs: float = Field(default=1.0, gt=0)
    """Passes over the data."""
    batch_size: int = Field(default=16, ge=1)
    """Examples (or pairs) in one optimiser step."""
    micro_batch_size: Annotated[int, NotInKey] = Field(default=4, ge=1)
    """Of these, how many at once; smaller needs less memory. It must divide ``batch_size``."""
    lr_scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    """How the learning rate falls."""
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    gradient_checkpointing: Annotated[bool | None, NotInKey] = None
    """Recompute activations to save memory; on for accelerators and off for CPUs where not set."""


def trl_arguments(config: OptimiserConfig, output_dir: str, seed: int) -> dict[str, Any]:
    """Keyword arguments that TRL's SFTConfig and DPOConfig have in common."""

    on_cpu = torch_device().type == "cpu"
    checkpointing = config.gradient_checkpointing
    micro = min(config.micro_batch_size, config.batch_size)
    return {
        "output_dir": output_dir,
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": config.batch_size // micro,
        "lr_scheduler_type": config.lr_scheduler,
        "warmup_steps": config.warmup_ratio,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "gradient_checkpointing": (not on_cpu) if checkpointing is None else checkpointing,
        "bf16": training_dtype() == "bfloat16",
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "seed": seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
    }
