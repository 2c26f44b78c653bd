"""What all objectives share: the optimiser's settings, and their translation for TRL."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from selfreward.engines.loading import torch_device, training_dtype
from selfreward.objectives.batches import micro_batches, processes_here
from selfreward.objectives.rows import longest_side
from selfreward.pair_rules.settings import Makes
from selfreward.records import Frozen, NotInKey

if TYPE_CHECKING:
    from peft import LoraConfig as PeftLoraConfig

    from selfreward.engines.chat import Chat


def _above_zero(setting: float | tuple[float, ...]) -> float | tuple[float, ...]:
    values = setting if isinstance(setting, tuple) else (setting,)
    if not values or not all(0 < value < math.inf for value in values):
        raise ValueError("expected a number above 0, or a list of such numbers")
    return setting


def _at_least_one(setting: int | str) -> int | str:
    if isinstance(setting, int) and setting < 1:
        raise ValueError("expected a number of at least 1, or auto")
    return setting


PerIteration = Annotated[float | tuple[float, ...], AfterValidator(_above_zero)]
"""One value for all iterations, or one each, of which the last holds on."""


class LoraConfig(Frozen):
    """The adapter that is trained, through PEFT. ``lora: null`` trains all weights instead."""

    r: int = Field(default=16, ge=1)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """The adapter's output is scaled by alpha / r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input, in SFT; elsewhere with ``train.disable_dropout: false``."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Which layers get an adapter."""
    use_rslora: bool = False
    """Scale by alpha / sqrt(r) instead, so that a high rank learns as fast as a low one (rsLoRA)."""
    use_dora: bool = False
    """Train the weights' lengths beside the adapter (DoRA). vLLM serves it merged, with a reload in each iteration."""
    load_in_4bit: bool = False
    """Hold the root model in 4 bits while training (QLoRA: NF4, quantised twice, through bitsandbytes). Engines answer
    with the full one, so the reference in training is M_t over rounded weights."""

    def peft(self, task: Literal["CAUSAL_LM", "SEQ_CLS"]) -> PeftLoraConfig:
        """The same for PEFT."""
        from peft import LoraConfig as PeftLoraConfig

        modules = self.target_modules
        return PeftLoraConfig(
            task_type=task,
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=modules if isinstance(modules, str) else list(modules),
            use_rslora=self.use_rslora,
            use_dora=self.use_dora,
        )


class OptimiserConfig(Frozen):
    """AdamW over the weights that are trained."""

    epochs: float = Field(default=1.0, gt=0)
    """Passes over the data."""
    batch_size: int = Field(default=16, ge=1)
    """Examples (or pairs) in one optimiser step."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens in one optimiser step, and then ``batch_size`` counts for nothing: as many examples are taken as have no
    more of them on average, rounded down to a power of two for each process. Both sides of a pair count, each with its
    prompt."""
    micro_batch_size: Annotated[int | Literal["auto"], NotInKey, AfterValidator(_at_least_one)] = 4
    """Of these, how many a process takes at once; smaller needs less memory. It must divide ``batch_size``, shared by
    the processes. ``auto`` begins with all of them and halves whenever memory runs out."""
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
    save_steps: Annotated[int | None, NotInKey] = Field(default=50, ge=1)
    """Steps between two checkpoints, from the last of which an interrupted training goes on; null writes none."""

    @property
    def least_at_once(self) -> int:
        """The smallest micro batch that the loss has a meaning for."""
        return 1

    @property
    def packed_length(self) -> int | None:
        """Tokens of a row that several examples are put into; None where each has its own."""
        return None

    @model_validator(mode="after")
    def _only_a_cosine_has_a_floor(self) -> Self:
        if self.min_lr_ratio and self.lr_scheduler != "cosine":
            raise ValueError(f"min_lr_ratio goes with lr_scheduler=cosine, not with {self.lr_scheduler}")
        return self

    @model_validator(mode="after")
    def _tokens_are_shared_by_halves(self) -> Self:
        micro = self.micro_batch_size
        if self.batch_tokens is not None and (micro == "auto" or micro & (micro - 1)):
            raise ValueError(f"batch_tokens goes with a micro_batch_size of 1, 2, 4, 8 …, not with {micro}")
        return self


_HELD_OUT = 0.1


class KeepBestConfig(Frozen):
    """Of the policy at several steps, the best one becomes M_{t+1}; with every ``train.type``."""

    by: Literal["held_out_loss", "judge"] = "held_out_loss"
    """``held_out_loss``: the lowest loss on rows that are held out. ``judge``: the most wins against M_t, by the judge
    that compares models, on ``evaluation.prompts``, once training is done; needs these prompts, and ``lora``."""
    eval_steps: int = Field(default=25, ge=1)
    """Steps between two candidates; the last step is one in any case. ``held_out_loss`` writes a checkpoint of each,
    and ``save_steps`` counts for nothing; ``judge`` writes an adapter of each, and checkpoints stay as they are."""
    held_out: float | None = Field(default=_HELD_OUT, gt=0, lt=1)
    """Share of the prompts, one at least, whose rows are held out and not trained on; null with ``judge``, which trains
    on all of them."""

    @model_validator(mode="before")
    @classmethod
    def _rows_are_held_out_for_a_loss_alone(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("held_out") is not None:
            return given
        return {**given, "held_out": None if given.get("by") == "judge" else _HELD_OUT}

    @model_validator(mode="after")
    def _the_judge_needs_no_rows(self) -> Self:
        if self.by == "judge" and self.held_out is not None:
            raise ValueError("held_out is of no use with by=judge, which trains on all rows; leave it out")
        return self


class ObjectiveSettings(OptimiserConfig):
    """What an objective of preference training has; it adds its ``type``, ``fits`` and ``trainer``."""

    learning_rate: PerIteration
    """AdamW's learning rate; a list has one value an iteration, and its last one holds on."""
    keep_best: KeepBestConfig | None = None
    """Compare the policy at several steps; null takes the last one."""

    per_iteration: ClassVar[tuple[str, ...]] = ("learning_rate",)
    """Settings that may be lists."""
    learns_from: ClassVar[Makes]
    """What a pair rule has to make."""
    module: ClassVar[str]
    """Where TRL has its trainer."""
    has_reference: ClassVar[bool] = False
    """Whether it holds the policy to another model."""

    @property
    def candidate_steps(self) -> int | None:
        """Steps between two adapters that the judge chooses from; None where it chooses nothing."""
        best = self.keep_best
        return best.eval_steps if best is not None and best.by == "judge" else None

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
    micro, times = micro_batches(config, processes_here())
    return {
        "output_dir": output_dir,
        "learning_rate": one_value(config.learning_rate),
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": micro,
        "per_device_eval_batch_size": micro,
        "gradient_accumulation_steps": times,
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
        "disable_tqdm": True,
        **_checkpoints(config),
    }


def _checkpoints(config: ObjectiveSettings) -> dict[str, Any]:
    if config.keep_best is None or config.candidate_steps is not None:
        return {"save_strategy": "no" if config.save_steps is None else "steps", "save_steps": config.save_steps or 0}
    return {
        "save_strategy": "steps",
        "save_steps": config.keep_best.eval_steps,
        "eval_strategy": "steps",
        "eval_steps": config.keep_best.eval_steps,
        "load_best_model_at_end": True,
        "metric_for_best_model": "loss",
        "greater_is_better": False,
    }
