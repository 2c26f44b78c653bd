"""Each step of the loop, tied to a run: what is in its key, what it reads, and the stage that does the work."""

from selfreward.steps.data import judgments, pairs, prompts, responses
from selfreward.steps.iteration import begin_iteration, finish_iteration
from selfreward.steps.seeds import examples, read_seeds, seeds
from selfreward.steps.training import dpo, no_sft, sft

__all__ = [
    "begin_iteration",
    "dpo",
    "examples",
    "finish_iteration",
    "judgments",
    "no_sft",
    "pairs",
    "prompts",
    "read_seeds",
    "responses",
    "seeds",
    "sft",
]
