"""Reward modelling on pairs (Ouyang et al. 2022, arXiv 2203.02155, equation 1): a model that scores a response."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from selfreward.objectives.optimiser import LoraConfig, PerIteration, PreferenceConfig, trl_arguments
from selfreward.objectives.rows import conversational, datasets
from selfreward.pair_rules.settings import Makes

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, Trainer

    from selfreward.engines.chat import Chat


class RewardConfig(PreferenceConfig):
    """A reward model of a run's pairs; it is no step of the loop."""

    type: Literal["reward"] = "reward"
    learning_rate: PerIteration = 1e-4
    """AdamW's learning rate."""
    center: float | None = Field(default=None, gt=0)
    """Pulls rewards towards a mean of zero with this weight; its paper (Eisenstein et al. 2023) has 0.01."""

    learns_from: ClassVar[Makes] = "pairs"
    module: ClassVar[str] = "trl.trainer.reward_trainer"

    @model_validator(mode="after")
    def _it_answers_nothing(self) -> Self:
        if self.candidate_steps is not None:
            raise ValueError("keep_best.by=judge compares answers, and a reward model writes none; use held_out_loss")
        return self

    def trainer(
        self, model: Any, chat: Chat, data: Dataset, output_dir: str, seed: int, held_out: Dataset | None = None
    ) -> Trainer:
        """TRL's RewardTrainer over pairs that fit."""
        import trl

        arguments = trl.RewardConfig(
            **trl_arguments(self, output_dir, seed),
            max_length=self.max_length,
            disable_dropout=self.disable_dropout,
            center_rewards_coefficient=self.center,
        )
        pairs = datasets(data, held_out, lambda rows: conversational(rows, ("prompt", "chosen", "rejected"), chat))
        return trl.RewardTrainer(model=model, args=arguments, processing_class=chat.tokenizer, **pairs)


def with_reward_head(policy: PreTrainedModel, lora: LoraConfig) -> Any:
    """The policy's body under a new head of one output, with an adapter to train; the head is trained whole."""
    from peft import get_peft_model
    from transformers import AutoModelForSequenceClassification

    config = copy.deepcopy(policy.config)
    config.num_labels = 1
    model: Any = AutoModelForSequenceClassification.from_config(config, dtype=policy.dtype)
    model.base_model.load_state_dict(policy.base_model.state_dict())
    return get_peft_model(model.to(policy.device), lora.peft("SEQ_CLS"))
