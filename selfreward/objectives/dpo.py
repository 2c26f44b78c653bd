"""Direct preference optimisation against M_t (Rafailov et al. 2023, arXiv 2305.18290, equation 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from selfreward.objectives.optimiser import OptimiserConfig, trl_arguments
from selfreward.records import Message

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from selfreward.engines.chat import Chat


class DPOConfig(OptimiserConfig):
    """M_t -> M_{t+1} on the iteration's pairs. The reference model is M_t."""

    type: Literal["dpo"] = "dpo"
    beta: float = Field(default=0.1, gt=0)
    """How strongly the policy is held to the reference."""
    learning_rate: float = Field(default=2e-5, gt=0)
    """AdamW's learning rate; an adapter needs more than the 1e-6 of full fine-tuning."""
    max_length: int = Field(default=1024, ge=16)
    """Longest prompt with response in tokens; pairs with a longer side are left out, never cut."""

    def fits(self, pair: dict[str, Any], chat: Chat) -> bool:
        """Whether both sides, with the prompt, are within ``max_length`` tokens."""
        question = [Message.model_validate(turn) for turn in pair["prompt"]]
        sides = [[*question, *map(Message.model_validate, pair[side])] for side in ("chosen", "rejected")]
        return max(map(len, chat.encode(sides, open_turn=False))) <= self.max_length

    def trainer(self, model: Any, chat: Chat, data: Dataset, output_dir: str, seed: int) -> Trainer:
        """TRL's DPOTrainer over pairs that fit.

        ``model`` is a PeftModel and no reference model is given, so TRL freezes a copy of its adapter: M_t is the
        reference and the root model is in memory once.
        """
        import trl

        pairs = data.select_columns(["prompt", "chosen", "rejected"])
        if chat.template_kwargs:
            pairs = pairs.add_column("chat_template_kwargs", [dict(chat.template_kwargs)] * len(pairs))
        arguments = trl.DPOConfig(
            **trl_arguments(self, output_dir, seed),
            learning_rate=self.learning_rate,
            beta=self.beta,
            max_length=self.max_length,
        )
        return trl.DPOTrainer(model=model, args=arguments, train_dataset=pairs, processing_class=chat.tokenizer)
