"""What a training process is told, and what it gives back."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from selfreward.engines.loading import ModelConfig
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.objectives.reward import RewardConfig
from selfreward.records import Frozen
from selfreward.tracking import Tracking
from selfreward.training.cost import TrainingCost

VERSION = 1
REWARD_MODEL = "reward_model"
ADAPTER, MODEL = "adapter", "model"
"""What training makes, and the name of its stage and its directory."""
CANDIDATES = "candidates"
"""The same where the judge chooses: an adapter of each of several steps, of which one becomes the iteration's."""
LOG = "training.jsonl"
JOB = "job.json"
RESULT = "result.json"
TRAINER = "trainer"
"""Directory of the Trainer's own files."""
ROWS = "rows"
"""Directory of rows, where several processes share them."""


def makes(lora: LoraConfig | None) -> str:
    """Of the two, what training with these settings makes."""
    return MODEL if lora is None else ADAPTER


class TrainingJob(Frozen):
    """Everything that a training process needs to know."""

    section: str
    """Of the recipe, where the objective's settings are, such as ``train.0``; errors name it. Empty where they stand by
    themselves."""
    objective: ObjectiveConfig | RewardConfig
    model: ModelConfig
    parent: str | None
    """What the parent was trained to: an adapter, which is trained on, or a whole model; None begins with the root
    model."""
    lora: LoraConfig | None
    """None trains all weights."""
    data: tuple[str, ...]
    """Parquet files of examples, pairs or labelled responses."""
    seed: int
    name: str = ""
    """What this training is called by trackers, such as iter-001."""
    tracking: Tracking | None = None
    """Where its figures go besides its log."""
    accelerate_config: str | None = None
    """The file that several processes are launched through."""

    @property
    def makes(self) -> str:
        """An adapter, several to choose from, or a whole model."""
        return makes(self.lora) if self.objective.candidate_steps is None else CANDIDATES

    def named(self, setting: str) -> str:
        """One of the objective's settings, as ``--set`` names it."""
        return f"{self.section}.{setting}" if self.section else setting


class TrainingResult(Frozen):
    """What came of it. ``steps`` holds TRL's log of every optimiser step."""

    model_config = ConfigDict(allow_inf_nan=True)  # a figure beside the loss may be no number

    counts: dict[str, int]
    steps: list[dict[str, float]]
    cost: TrainingCost | None
    candidates: list[dict[str, float]] = Field(default_factory=list)
    """How the policy did on held-out rows at several steps, as TRL logs it; empty where none were held out."""
    kept_step: int | None = None
    """Of them, after which the policy was taken."""
    batch_size: int
    """Examples in one step."""

    def summary(self) -> dict[str, Any]:
        """First and last value of what TRL logs at every step, what all of them cost, and what held-out rows say."""
        return {
            "steps": len(self.steps),
            "batch_size": self.batch_size,
            "cost": None if self.cost is None else self.cost.model_dump(),
            **({"candidates": self.candidates, "kept_step": self.kept_step} if self.candidates else {}),
            **{
                name: {"first": self.steps[0][name], "last": self.steps[-1][name]}
                for name in sorted(self.steps[0])
                if name in self.steps[-1] and name not in ("epoch", "step")
            },
        }
