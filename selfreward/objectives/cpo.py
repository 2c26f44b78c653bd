"""Pairs without a reference model: CPO (Xu et al. 2024, arXiv 2401.08417, equation 5) and SimPO (Meng et al. 2024,
arXiv 2405.14734, equation 6), which TRL has in one experimental trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from selfreward.objectives.optimiser import PerIteration, PreferenceConfig, one_value, trl_arguments
from selfreward.objectives.rows import Datasets, datasets, plain_text, without_bos
from selfreward.pair_rules.settings import Makes

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from selfreward.engines.chat import Chat

_MODULE = "trl.experimental.cpo.cpo_trainer"


class CPOConfig(PreferenceConfig):
    """M_t -> M_{t+1} on pairs. No reference model; the likelihood of what is chosen holds the policy."""

    type: Literal["cpo"] = "cpo"
    loss_type: Literal["sigmoid", "hinge", "ipo"] = "sigmoid"
    """TRL's name of the loss on the difference of the two sides' log-probabilities."""
    beta: PerIteration = 0.1
    """How much that difference counts; a list has one value an iteration, and its last holds on."""
    nll_weight: float = Field(default=1.0, ge=0)
    """What the negative log-likelihood of the chosen side, a token, counts beside it."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """How often a pair is taken to be the wrong way round, for sigmoid."""

    per_iteration: ClassVar[tuple[str, ...]] = ("learning_rate", "beta")
    learns_from: ClassVar[Makes] = "pairs"
    module: ClassVar[str] = _MODULE

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.label_smoothing and self.loss_type != "sigmoid":
            raise ValueError(f"label_smoothing is of no use to loss_type={self.loss_type}; leave it out")
        return self

    def trainer(
        self, model: Any, chat: Chat, data: Dataset, output_dir: str, seed: int, held_out: Dataset | None = None
    ) -> Trainer:
        """TRL's CPOTrainer over pairs that fit."""
        more = {"loss_type": self.loss_type, "cpo_alpha": self.nll_weight, "label_smoothing": self.label_smoothing}
        pairs = datasets(data, held_out, lambda rows: plain_text(rows, chat))
        return _trainer(self, one_value(self.beta), more, model, chat, pairs, trl_arguments(self, output_dir, seed))


class SimPOConfig(PreferenceConfig):
    """M_t -> M_{t+1} on pairs by log-probability a token, so that length alone wins nothing. No reference model."""

    type: Literal["simpo"] = "simpo"
    beta: PerIteration = 2.0
    """How much the difference of the two sides' mean log-probabilities counts; a list has one value an iteration, and
    its last holds on."""
    gamma: float = Field(default=1.0, ge=0)
    """How far the chosen side is to be ahead; the paper has half of beta, or more."""
    nll_weight: float = Field(default=0.0, ge=0)
    """What the negative log-likelihood of the chosen side, a token, counts beside it (CPO-SimPO); nothing in SimPO."""

    per_iteration: ClassVar[tuple[str, ...]] = ("learning_rate", "beta")
    learns_from: ClassVar[Makes] = "pairs"
    module: ClassVar[str] = _MODULE

    def trainer(
        self, model: Any, chat: Chat, data: Dataset, output_dir: str, seed: int, held_out: Dataset | None = None
    ) -> Trainer:
        """TRL's CPOTrainer with the loss of SimPO."""
        more = {"loss_type": "simpo", "simpo_gamma": self.gamma, "cpo_alpha": self.nll_weight}
        pairs = datasets(data, held_out, lambda rows: plain_text(rows, chat))
        return _trainer(self, one_value(self.beta), more, model, chat, pairs, trl_arguments(self, output_dir, seed))


def _trainer(
    config: CPOConfig | SimPOConfig,
    beta: float,
    more: dict[str, Any],
    model: Any,
    chat: Chat,
    data: Datasets,
    common: dict[str, Any],
) -> Trainer:
    from trl.experimental import cpo

    arguments = cpo.CPOConfig(
        **common, **more, beta=beta, max_length=config.max_length, disable_dropout=config.disable_dropout
    )
    return cpo.CPOTrainer(model=model, args=arguments, processing_class=without_bos(chat), **data)
