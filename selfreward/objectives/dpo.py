"""Direct preference optimisation and its kin (Rafailov et al. 2023, arXiv 2305.18290, equation 7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from selfreward.objectives.optimiser import PerIteration, one_value, trl_arguments
from selfreward.objectives.reference import HeldConfig
from selfreward.objectives.rows import conversational, datasets
from selfreward.pair_rules.settings import Makes

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from selfreward.engines.chat import Chat

LossType = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
    "sigmoid_norm",
]
_SMOOTHED = {"robust", "exo_pair", "aot", "aot_unpaired"}
_OF_DIFFERENCES = {"sigmoid", "sigmoid_norm", "hinge", "ipo", "exo_pair", "robust", "discopop", "sft"}
"""Losses that have a meaning with another divergence than the reverse KL."""


class DPOConfig(HeldConfig):
    """M_t -> M_{t+1} on the iteration's pairs, held to a reference model."""

    type: Literal["dpo"] = "dpo"
    loss_type: LossType | tuple[LossType, ...] = "sigmoid"
    """TRL's name of the loss, or a list of those that are added up; Iterative RPO is `[sigmoid, sft]`."""
    loss_weights: tuple[float, ...] | None = None
    """A weight for each loss of a list; 1 each where not set."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """How often a pair is taken to be the wrong way round, for robust, exo_pair (which needs it), aot and
    aot_unpaired."""
    ld_alpha: float | None = Field(default=None, ge=0, le=1)
    """LD-DPO: what the tokens count by which one side is longer than the other; as much as all others where not set."""
    use_weighting: bool = False
    """WPO: weigh a pair by how likely the policy itself is to write it."""
    f_divergence: Literal["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"] = "reverse_kl"
    """What holds the policy to the reference (f-DPO)."""
    discopop_tau: float = Field(default=0.05, gt=0)
    """Temperature of the discopop loss."""

    per_iteration: ClassVar[tuple[str, ...]] = ("learning_rate", "beta")
    learns_from: ClassVar[Makes] = "pairs"
    module: ClassVar[str] = "trl.trainer.dpo_trainer"
    beta: PerIteration = 0.1
    """How strongly the policy is held to the reference; a list has one value an iteration, and its last holds on."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        losses = set(self.losses)
        if not losses or len(losses) < len(self.losses):
            raise ValueError("loss_type names no loss, or one of them twice")
        if self.loss_weights is not None and len(self.loss_weights) != len(self.losses):
            raise ValueError(f"loss_weights has {len(self.loss_weights)} values for {len(self.losses)} losses")
        if "exo_pair" in losses and not self.label_smoothing:
            raise ValueError("loss_type=exo_pair needs a label_smoothing above 0; its paper has 0.001")
        if self.label_smoothing and not losses & _SMOOTHED:
            raise ValueError(f"label_smoothing is of no use to loss_type={self.loss_type}; leave it out")
        if self.f_divergence != "reverse_kl" and not losses <= _OF_DIFFERENCES:
            raise ValueError(f"f_divergence={self.f_divergence} goes with {', '.join(sorted(_OF_DIFFERENCES))} only")
        if self.use_weighting and losses & {"aot", "aot_unpaired"}:
            raise ValueError("use_weighting does not go with aot and aot_unpaired, which sort the pairs of a batch")
        return self

    def trainer(
        self,
        model: Any,
        chat: Chat,
        data: Dataset,
        output_dir: str,
        seed: int,
        held_out: Dataset | None = None,
        load_initial: Callable[[], Any] | None = None,
    ) -> Trainer:
        """TRL's DPOTrainer over pairs that fit; ``load_initial`` as in :meth:`HeldConfig.held`."""
        import trl

        arguments = trl.DPOConfig(
            **trl_arguments(self, output_dir, seed),
            beta=one_value(self.beta),
            max_length=self.max_length,
            precompute_ref_log_probs=self.precomputes(model),
            disable_dropout=self.disable_dropout,
            loss_type=list(self.losses),
            loss_weights=None if self.loss_weights is None else list(self.loss_weights),
            label_smoothing=self.label_smoothing,
            ld_alpha=self.ld_alpha,
            use_weighting=self.use_weighting,
            f_divergence_type=self.f_divergence,
            discopop_tau=self.discopop_tau,
        )
        pairs = datasets(data, held_out, lambda rows: conversational(rows, ("prompt", "chosen", "rejected"), chat))
        make = partial(trl.DPOTrainer, args=arguments, processing_class=chat.tokenizer, **pairs)
        return self.held(make, model, load_initial)
