"""What training, pair rule, prompts and judge rule out between them."""

from collections.abc import Iterator

from selfreward.judges import JudgeConfig
from selfreward.objectives import ObjectiveConfig
from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.settings import JudgedSettings, LabelSettings, PairSettings

_RULE_FOR = {
    "pairs": "one that makes pairs, such as best_worst",
    "positives": "positives",
    "labelled": "threshold",
}


def misfit(
    where: str, train: ObjectiveConfig, rule: PairRuleConfig, judge: JudgeConfig, *, references: bool, responses: int
) -> str | None:
    """Why these do not go together; None where they do.

    ``where``: what the objective's section is called;
    ``references``: whether prompts can come with an answer; ``responses``: how many are written to each.
    """
    if rule.makes != train.learns_from:
        return (
            f"{where}.type={train.type} does not learn from what pairs.type={rule.type} makes; use pairs.type "
            f"{_RULE_FOR[train.learns_from]}, or another {where}.type"
        )
    if rule.type == "spin" and not references:
        return (
            "pairs.type=spin holds answers that are given against the model's own: set prompts.from_seeds, or a "
            "prompts.file with rows of prompt and reference"
        )
    return next(_beside_judge(rule, judge, responses), None)


def _beside_judge(rule: PairRuleConfig, judge: JudgeConfig, responses: int) -> Iterator[str]:
    method, compares = judge.method.type, judge.method.compares
    if responses < 2 and isinstance(rule, PairSettings) and rule.asks != "initial":
        yield f"responses.n: pairs.type={rule.type} compares a prompt's responses; it needs 2 at least"
    if responses < 2 and isinstance(rule, JudgedSettings) and compares:
        yield f"responses.n: judge.method.type={method} compares responses; it needs 2 at least"
    if isinstance(rule, LabelSettings) and rule.min_score is None:
        if compares or judge.method.usual_rubric is None:
            why = f"scores of judge.method.type={method} are on no scale that has a top"
            yield f"pairs.type={rule.type} needs pairs.min_score: {why}"
        if method == "expected":
            why = "expected scores hardly ever are the top of the scale, which it asks for where it is not set"
            yield f"pairs.type={rule.type} needs pairs.min_score: {why}"
