"""What training, pair rule, prompts and judge rule out between them."""

from selfreward.judges import JudgeConfig
from selfreward.objectives import ObjectiveConfig
from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.settings import LabelSettings, PairSettings

_RULE_FOR = {
    "pairs": "one that makes pairs, such as best_worst",
    "positives": "positives",
    "labelled": "threshold",
}


def misfit(
    train: ObjectiveConfig, rule: PairRuleConfig, judge: JudgeConfig, *, references: bool, responses: int
) -> str | None:
    """Why these do not go together; None where they do.

    ``references``: whether prompts can come with an answer; ``responses``: how many are written to each.
    """
    if responses < 2 and isinstance(rule, PairSettings) and rule.asks != "initial":
        return f"responses.n: pairs.type={rule.type} compares a prompt's responses; it needs 2 at least"
    if rule.makes != train.learns_from:
        return (
            f"train.type={train.type} does not learn from what pairs.type={rule.type} makes; use pairs.type "
            f"{_RULE_FOR[train.learns_from]}, or another train.type"
        )
    if rule.type == "spin" and not references:
        return (
            "pairs.type=spin holds answers that are given against the model's own: set prompts.from_seeds, or a "
            "prompts.file with rows of prompt and reference"
        )
    if isinstance(rule, LabelSettings) and rule.min_score is None:
        if judge.method.compares or judge.method.usual_rubric is None:
            return (
                f"pairs.type={rule.type} needs pairs.min_score: scores of judge.method.type={judge.method.type} are "
                "on no scale that has a top"
            )
        if judge.method.type == "expected":
            return (
                f"pairs.type={rule.type} needs pairs.min_score: expected scores hardly ever are the top of the scale, "
                "which it asks for where it is not set"
            )
    return None
