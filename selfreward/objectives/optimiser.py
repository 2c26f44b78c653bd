"""What all objectives share: the optimiser's settings, and their translation for TRL."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from selfreward.engines.loading import torch_device, training_dtype
from selfreward.objectives.rows import longest_side
from selfreward.pair_rules.settings import Makes
from selfreward.records import Frozen, NotInKey

if TYPE_CHECKING:
    from selfreward.engines.chat import Chat


def _above_zero(setting: float | tuple[float, ...]) -> float | tuple[float, ...]:
    values = setting if isinstance(setting, tuple) else (setting,)
    if not values or not all(0 < value < math.inf for value in values):
        raise ValueError("expected a number above 0, or a list of such numbers")
    return setting


PerIteration = Annotated[float | tuple[float, ...], AfterValidator(_above_zero)]
"""One value for all iterations, or one each, of which the last holds on."""


class LoraConfig(Frozen):
    """The adapter that is trained, through PEFT."""

    r: int = Field(default=16, ge=1)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """The adapter's output is scaled by alpha / r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input, in SFT; elsewhere with ``train.disable_dropout: false``."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Which layers get an adapter."""
    load_in_4bit: bool = False
    """Hold the root model in 4 bits while training (QLoRA: NF4, quantised twice, through bitsandbytes). Engines answer
    with the full one, so the reference in training is M_t over rounded weights."""


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
    min_lr_ratio: float = Field(default=0.0, ge=0, lt=1)
    """What a cosine falls to, as a share of the learning rate; only with ``lr_scheduler: cosine``."""
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    gradient_checkpointing: Annotated[bool | None, NotInKey] = None
    """Recompute activations to save memory; on for accelerators and off for CPUs where not set."""

    @model_validator(mode="after")
    def _only_a_cosine_has_a_floor(self) -> Self:
        if self.min_lr_ratio and self.lr_scheduler != "cosine":
            raise ValueError(f"min_lr_ratio goes with lr_scheduler=cosine, not with {self.lr_scheduler}")
        return self


class ObjectiveSettings(OptimiserConfig):
    """What an objective of preference training has; it adds its ``type``, ``fits`` and ``trainer``."""

    learning_rate: PerIteration
    """AdamW's learning rate; a list has one value an iteration, and its last one holds on."""

    per_iteration: ClassVar[tuple[str, ...]] = ("learning_rate",)
    """Settings that may be lists."""
    learns_from: ClassVar[Makes]
    """What a pair rule has to make."""
    module: ClassVar[str]
    """Where TRL has its trainer."""
    has_reference: ClassVar[bool] = False
    """Whether it holds the policy against M_t, as a frozen copy of the adapter."""

    @property
    def losses(self) -> tuple[str, ...]:
        """TRL's names of the losses that are added up; empty where there is no choice."""
        chosen = getattr(self, "loss_type", ())
        return (chosen,) if isinstance(chosen, str) else chosen

    def at(self, iteration: int) -> Self:
        """The objective with the values of one iteration (1, 2, …)."""
        lists = {name: getattr(self, name) for name in self.per_iteration}
        return self.model_copy(
            update={name: v[min(iteration, len(v)) - 1] for name, v in lists.items() if isinstance(v, tuple)}
        )


class PreferenceConfig(ObjectiveSettings):
    """Of objectives that TRL tokenises for."""

    learning_rate: PerIteration = 2e-5
    """AdamW's learning rate; an adapter needs more than the 1e-6 of full fine-tuning. A list has one value an
    iteration, and its last one holds on."""
    max_length: int = Field(default=1024, ge=16)
    """Longest prompt with response in tokens; what is longer (of a pair, either side) is left out, never cut."""
    disable_dropout: bool = True
    """Whether training goes without dropout, the adapter's and the model's own."""

    def fits(self, row: dict[str, Any], chat: Chat) -> bool:
        """Whether all sides, with the prompt, are within ``max_length`` tokens."""
        return longest_side(row, chat) <= self.max_length


def one_value(setting: PerIteration) -> float:
    """A setting's value in an iteration; :meth:`ObjectiveSettings.at` comes first."""
    assert not isinstance(setting, tuple)
    return setting


def trl_arguments(config: ObjectiveSettings, output_dir: str, seed: int) -> dict[str, Any]:
    """Keyword arguments that all of TRL's configs have in common."""

    on_cpu = torch_device().type == "cpu"
    checkpointing = config.gradient_checkpointing
    micro = min(config.micro_batch_size, config.batch_size)
    return {
        "output_dir": output_dir,
        "learning_rate": one_value(config.learning_rate),
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": config.batch_size // micro,
        "lr_scheduler_type": "cosine_with_min_lr" if config.min_lr_ratio else config.lr_scheduler,
        "lr_scheduler_kwargs": {"min_lr_rate": config.min_lr_ratio} if config.min_lr_ratio else {},
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
