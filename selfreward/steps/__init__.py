"""Each step of the loop, tied to a run: what is in its key, what it reads, and the stage that does the work."""

from selfreward.steps.comparing import compare_models, comparison_prompts
from selfreward.steps.data import judge_responses, write_prompts, write_responses
from selfreward.steps.gates import check_gates
from selfreward.steps.heldout import heldout_rows, measure_judge
from selfreward.steps.iteration import begin_iteration, check_model, finish_iteration
from selfreward.steps.judgments import build_judgment_pairs, compare_judgments
from selfreward.steps.pairs import Asked, ask_for_rule, build_pairs
from selfreward.steps.seeds import build_examples, prompts_at_hand, read_seeds, seed_notices, store_seeds
from selfreward.steps.training import skip_sft, train, train_sft, trained_policy, training_notices

__all__ = [
    "Asked",
    "ask_for_rule",
    "begin_iteration",
    "build_examples",
    "build_judgment_pairs",
    "build_pairs",
    "check_gates",
    "check_model",
    "compare_judgments",
    "compare_models",
    "comparison_prompts",
    "finish_iteration",
    "heldout_rows",
    "judge_responses",
    "measure_judge",
    "prompts_at_hand",
    "read_seeds",
    "seed_notices",
    "skip_sft",
    "store_seeds",
    "train",
    "train_sft",
    "trained_policy",
    "training_notices",
    "write_prompts",
    "write_responses",
]
