"""Odds ratio preference optimisation: SFT on the chosen side and a penalty on the odds of the rejected one, without a
reference model (Hong et al. 2024, arXiv 2403.07691, equations 6 and 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from selfreward.objectives.optimiser import PerIteration, PreferenceConfig, one_value, trl_arguments
from selfreward.objectives.rows import datasets, plain_text, without_bos
from selfreward.pair_rules.settings import Makes

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from selfreward.engines.chat import Chat


class ORPOConfig(PreferenceConfig):
    """M_t -> M_{t+1} on pairs. No reference model; TRL takes the likelihood of prompt and chosen side together."""

    type: Literal["orpo"] = "orpo"
    beta: PerIteration = 0.1
    """What the odds ratio counts beside the likelihood (lambda in the paper); a list has one value an iteration, and
    its last holds on."""

    per_iteration: ClassVar[tuple[str, ...]] = ("learning_rate", "beta")
    learns_from: ClassVar[Makes] = "pairs"
    module: ClassVar[str] = "trl.experimental.orpo.orpo_trainer"

    def trainer(
        self, model: Any, chat: Chat, data: Dataset, output_dir: str, seed: int, held_out: Dataset | None = None
    ) -> Trainer:
        """TRL's ORPOTrainer over pairs that fit."""
        from trl.experimental import orpo

        arguments = orpo.ORPOConfig(
            **trl_arguments(self, output_dir, seed),
            beta=one_value(self.beta),
            max_length=self.max_length,
            disable_dropout=self.disable_dropout,
        )
        return orpo.ORPOTrainer(
            model=model,
            args=arguments,
            processing_class=without_bos(chat),
            **datasets(data, held_out, lambda rows: plain_text(rows, chat)),
        )
