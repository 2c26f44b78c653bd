"""Supervised fine-tuning on IFT and EFT examples, the loss on response tokens only (Yuan et al. 2024, section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from selfreward.objectives.optimiser import OptimiserConfig, trl_arguments

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from selfreward.engines.chat import Chat


class SFTConfig(OptimiserConfig):
    """Iteration 0: M0 -> M1 on the seeds."""

    type: Literal["sft"] = "sft"
    enabled: bool = True
    """Whether to do it at all; without it, M1 is M0."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """AdamW's learning rate."""
    max_length: int | None = Field(default=None, ge=16)
    """Longest example in tokens, the model's context where not set; longer ones are left out, never cut."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Take a random part of the seeds of at most this many tokens; all of them where not set."""

    def fits(self, example: dict[str, Any], chat: Chat) -> bool:
        """Always: examples that are too long were left out when they were made."""
        return True

    def trainer(self, model: Any, chat: Chat, data: Dataset, output_dir: str, seed: int) -> Trainer:
        """TRL's SFTTrainer over tokenised examples (columns ``input_ids``, ``response_start``)."""
        import trl

        def labelled(example: dict[str, Any]) -> dict[str, Any]:
            start = example["response_start"]
            return {"labels": [-100] * start + example["input_ids"][start:]}

        tokenised = data.map(labelled).select_columns(["input_ids", "labels"])
        arguments = trl.SFTConfig(
            **trl_arguments(self, output_dir, seed),
            learning_rate=self.learning_rate,
            max_length=None,
            packing=False,
        )
        return trl.SFTTrainer(model=model, args=arguments, train_dataset=tokenised, processing_class=chat.tokenizer)
