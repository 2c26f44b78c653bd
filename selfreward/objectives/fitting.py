"""What training, pair rule, prompts and judge rule out between them."""

from collections.abc import Iterator
from itertools import chain

from selfreward.judges import JudgeConfig
from selfreward.judges.mix import MixConfig
from selfreward.objectives import ObjectiveConfig
from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.settings import JudgedSettings, LabelSettings, PairSettings

_RULE_FOR = {
    "pairs": "one that makes pairs, such as best_worst",
    "positives": "positives",
    "labelled": "threshold",
}


def misfit(where: str, train: ObjectiveConfig, rule: PairRuleConfig, *, references: bool) -> str | None:
    """Why an objective and a rule do not go together; None where they do.

    ``where``: what the objective's section is called; ``references``: whether prompts can come with an answer.
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
    return None


def choice_misfit(where: str, train: ObjectiveConfig, *, prompts: bool, adapter: bool) -> str | None:
    """Why the judge cannot choose between an objective's candidates; None where it can, or does not have to.

    ``prompts``: whether there are held-out ones; ``adapter``: whether one is trained.
    """
    if train.candidate_steps is None:
        return None
    other = f"or take {where}.keep_best.by=held_out_loss"
    if not prompts:
        return (
            f"{where}.keep_best.by=judge compares answers to evaluation.prompts: set it to a file of prompts, {other}"
        )
    if not adapter:
        return (
            f"{where}.keep_best.by=judge keeps an adapter of every candidate, and lora: null would have it keep whole "
            f"models: leave lora as it is by default, {other}"
        )
    return None


def judge_misfit(judge: JudgeConfig, rule: PairRuleConfig, *, sft: bool, responses: int) -> str | None:
    """Why a judge and a rule do not go together; None where they do.

    ``sft``: whether M1 is trained on seeds; ``responses``: how many are written to each prompt.
    """
    return next(chain(_of_judge(judge, rule, sft), _beside_judge(rule, judge, responses)), None)


def _of_judge(judge: JudgeConfig, rule: PairRuleConfig, sft: bool) -> Iterator[str]:
    method, fixed = judge.method, judge.model
    implicit = judge.asks("policy")
    if fixed is not None and (implicit or not judge.asks("model")):
        yield f"judge.model={fixed.name}: judge.method.type={method.type} does not ask it; leave it out"
    if implicit and not sft:
        yield (
            "judge.method.type=implicit: without SFT M1 is M0, and a policy that equals its reference has no "
            "rewards; give seeds.ift with sft.enabled, or judge in another way"
        )
    if rule.asks == "initial" and (method.compares or isinstance(method, MixConfig)):
        yield (
            f"pairs.type={rule.type} holds two models' scores against each other, and judge.method.type="
            f"{method.type} gives each model's responses a scale of their own; use sampled or expected"
        )
    if rule.asks == "previous" and (implicit or fixed is not None or not judge.asks("model")):
        why = "M0 has no reference" if implicit else "the judge is the same in every iteration"
        way_out = "let M_t judge by a rubric" if fixed is None else "leave judge.model out"
        yield (
            f"pairs.type={rule.type} asks the model before what it thinks of the ranking, and {why}; {way_out}, or "
            "use another rule"
        )


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
