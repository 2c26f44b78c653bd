"""Kahneman-Tversky optimisation: single responses that are wanted or unwanted, no pairs (Ethayarajh et al. 2024, arXiv
2402.01306, equation 7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from selfreward.errors import TrainingError
from selfreward.objectives.optimiser import PerIteration, one_value, trl_arguments
from selfreward.objectives.reference import HeldConfig
from selfreward.objectives.rows import conversational, datasets
from selfreward.pair_rules.settings import Makes

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from selfreward.engines.chat import Chat


class KTOConfig(HeldConfig):
    """M_t -> M_{t+1} on single responses, those of `pairs.type: threshold`, held to a reference model."""

    type: Literal["kto"] = "kto"
    loss_type: Literal["kto", "apo_zero_unpaired"] = "kto"
    """TRL's name of the loss. `kto` estimates the divergence within a micro batch, so larger ones are better."""
    beta: PerIteration = 0.1
    """How strongly the policy is held to the reference; a list has one value an iteration, and its last holds on."""
    desirable_weight: float = Field(default=1.0, gt=0)
    """What a wanted response counts. With fewer wanted than unwanted ones, raise it until both sides weigh the same."""
    undesirable_weight: float = Field(default=1.0, gt=0)
    """What an unwanted response counts."""

    per_iteration: ClassVar[tuple[str, ...]] = ("learning_rate", "beta")
    learns_from: ClassVar[Makes] = "labelled"
    module: ClassVar[str] = "trl.trainer.kto_trainer"

    @property
    def least_at_once(self) -> int:
        """See :class:`~selfreward.objectives.optimiser.OptimiserConfig`."""
        return 2 if self.loss_type == "kto" else 1

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        micro = self.batch_size if self.micro_batch_size == "auto" else self.micro_batch_size
        least = micro if self.batch_tokens is not None else min(micro, self.batch_size)
        if least < self.least_at_once:
            raise ValueError("loss_type=kto holds responses of a micro batch against each other; it needs 2 at least")
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
        """TRL's KTOTrainer; ``load_initial`` as in :meth:`HeldConfig.held`.

        TRL takes the rows in their order and pairs each with its neighbour's response to estimate the divergence, so
        they are shuffled: one prompt's responses stand together.
        """
        import trl

        if len(set(data["label"])) < 2:
            raise TrainingError(
                f"train.type=kto: all {len(data)} responses are on one side of pairs.min_score; set it between them"
            )
        arguments = trl.KTOConfig(
            **trl_arguments(self, output_dir, seed),
            beta=one_value(self.beta),
            max_length=self.max_length,
            precompute_ref_log_probs=self.precomputes(model),
            disable_dropout=self.disable_dropout,
            loss_type=self.loss_type,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
        )

        def made(rows: Dataset) -> Dataset:
            return conversational(rows.shuffle(seed=seed), ("prompt", "completion", "label"), chat)

        rows = datasets(data, held_out, made)
        make = partial(trl.KTOTrainer, args=arguments, processing_class=chat.tokenizer, **rows)
        return self.held(make, model, load_initial)
