"""Supervised fine-tuning, the loss on response tokens only: on the seeds (Yuan et al. 2024, section 2.1), or on what
M_t wrote and judged to be good (its section 2.3, "positive examples only")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from selfreward.objectives.optimiser import ObjectiveSettings, OptimiserConfig, PerIteration, trl_arguments
from selfreward.objectives.packing import refuse_where_examples_meet
from selfreward.objectives.rows import datasets, longest_side
from selfreward.pair_rules.settings import Makes
from selfreward.records import Message

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from selfreward.engines.chat import Chat


_NO_LENGTH = "packing needs max_length: how many tokens a row has at most"


class SFTConfig(ObjectiveSettings):
    """Imitation of single responses, those of `pairs.type: positives`. There is no reference model."""

    type: Literal["sft"] = "sft"
    learning_rate: PerIteration = 1e-4
    """AdamW's learning rate; a list has one value an iteration, and its last one holds on."""
    max_length: int | None = Field(default=None, ge=16)
    """Longest prompt with response in tokens; longer ones are left out, never cut."""
    packing: bool = False
    """Put several of them into one row of at most ``max_length`` tokens, so that nothing is padded; ``batch_size`` and
    ``micro_batch_size`` count rows then. They do not attend to each other."""

    learns_from: ClassVar[Makes] = "positives"
    module: ClassVar[str] = "trl.trainer.sft_trainer"

    @model_validator(mode="after")
    def _rows_have_a_length(self) -> Self:
        if self.packing and self.max_length is None:
            raise ValueError(_NO_LENGTH)
        return self

    @property
    def packed_length(self) -> int | None:
        """See :class:`~selfreward.objectives.optimiser.OptimiserConfig`."""
        return self.max_length if self.packing else None

    def fits(self, row: dict[str, Any], chat: Chat) -> bool:
        """Whether a row is short enough; of examples those that are not were left out when they were made."""
        return self.max_length is None or "input_ids" in row or longest_side(row, chat) <= self.max_length

    def trainer(
        self, model: Any, chat: Chat, data: Dataset, output_dir: str, seed: int, held_out: Dataset | None = None
    ) -> Trainer:
        """TRL's SFTTrainer over examples (``input_ids``, ``response_start``) or responses (``prompt``,
        ``completion``)."""
        import trl

        def tokenised(rows: Dataset) -> Dataset:
            return rows.map(lambda row: labelled_tokens(row, chat)).select_columns(["input_ids", "labels"])

        examples = datasets(data, held_out, tokenised)
        if self.packing:
            ids = examples["train_dataset"]["input_ids"]
            refuse_where_examples_meet(model, ids[0], ids[-1])
        arguments = trl.SFTConfig(
            **trl_arguments(self, output_dir, seed),
            max_length=self.max_length if self.packing else None,  # of a row; no example is longer
            packing=self.packing,
        )
        return trl.SFTTrainer(model=model, args=arguments, processing_class=chat.tokenizer, **examples)


class SeedSFTConfig(OptimiserConfig):
    """Iteration 0: M0 -> M1 on the seeds."""

    type: Literal["sft"] = "sft"
    enabled: bool = True
    """Whether to do it at all; without it, M1 is M0."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """AdamW's learning rate."""
    max_length: int | None = Field(default=None, ge=16)
    """Longest example in tokens, the model's context where not set; longer ones are left out, never cut."""
    packing: bool = False
    """Put several examples into one row of at most ``max_length`` tokens, so that nothing is padded; ``batch_size`` and
    ``micro_batch_size`` count rows then. They do not attend to each other."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Take a random part of the seeds of at most this many tokens; all of them where not set."""

    @model_validator(mode="after")
    def _rows_have_a_length(self) -> Self:
        if self.packing and self.max_length is None:
            raise ValueError(_NO_LENGTH)
        return self

    @property
    def packed_length(self) -> int | None:
        """See :class:`~selfreward.objectives.optimiser.OptimiserConfig`."""
        return self.max_length if self.packing else None

    def objective(self) -> SFTConfig:
        """What trains on the examples, once they are made."""
        return SFTConfig.model_validate(self.model_dump(exclude={"enabled", "max_tokens"}))


def labelled_tokens(row: dict[str, Any], chat: Chat) -> dict[str, Any]:
    """Token ids, and the same as labels from where the response begins."""
    if "input_ids" in row:
        ids, start = row["input_ids"], row["response_start"]
    else:
        turns = [Message.model_validate(turn) for turn in (*row["prompt"], *row["completion"])]
        ((ids, start, _),) = chat.encode_targets([turns])
    return {"input_ids": ids, "labels": [-100] * start + ids[start:]}
