"""Figures against their limits: what is flagged, what is not, and what is too little to say."""

import ast
from pathlib import Path
from typing import Any

import pytest

from selfreward.diagnosis import thresholds
from selfreward.diagnosis.families import FAMILIES, findings
from selfreward.diagnosis.family import Finding, at_least, at_most

ENOUGH = {"responses": 100, "judgments": 100, "asked": 100, "pairs": 50, "prompts": 50, "trained": 50}
QUALITY = {
    "judge_quality": {
        "whole": {
            "judge": {"pairwise_accuracy": {"value": 0.7, "low": 0.6}},
            "length_only": {"pairwise_accuracy": {"value": 0.65}},
        },
        "length_balanced": {"judge": {"pairwise_accuracy": {"value": 0.55}}},
    }
}
TRAINED = {"loss": 0.5, "rewards/chosen": 0.1, "rewards/margins": 0.4, "rewards/accuracies": 0.9, "logps/chosen": -90.0}
GOOD: dict[str, Any] = {
    **ENOUGH,
    **QUALITY,
    "response_tokens": {"mean": 100.0, "p25": 50.0, "p50": 90.0, "p75": 120.0, "p95": 190.0, "max": 200.0},
    "chosen_minus_rejected_tokens": 3.0,
    "longer_is_chosen_share": 0.5,
    "score_length_correlation": 0.1,
    "truncated_share": 0.01,
    "score_histogram": {"1": 30, "2": 40, "3": 30},
    "score_entropy": 1.57,
    "top_score_share": 0.1,
    "tie_share": 0.2,
    "pairs_per_prompt": 0.9,
    "unreadable_share": 0.01,
    "judge_agreement": 0.9,
    "judge_agreement_with_first": 0.9,
    "margin": {"mean": 2.0},
    "pair_similarity": {"mean": 0.3},
    "preference_training": {name: {"first": value, "last": value} for name, value in TRAINED.items()},
    "injection": {"reasons": {}, "response_share": 0.0, "chosen_share": 0.0, "wins": 0.4},
    "one_side_flagged": 20,
    "judgments_compared": 100,
    "meta_judge": {
        "swap_flip_share": 0.3,
        "wins_by_score": {"1": 0.4, "5": 0.6},
        "higher_score_wins": 0.6,
        "longer_wins": 0.5,
        "training_share": 0.2,
    },
    "diversity": {
        "prompts_distinct_2": 0.9,
        "near_duplicate_prompts": 0.0,
        "responses_distinct_2": 0.8,
        "same_text_share": 0.0,
    },
}
"""An iteration in which nothing deserves a look; its judge does not compare."""


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good figures with one of them changed."""
    top, *rest = path.split(".")
    if not rest:
        return {**GOOD, top: value, **({"comparisons": 100} if top == "swap_flip_share" else {})}
    inner: dict[str, Any] = GOOD[top]

    def put(where: dict[str, Any], names: list[str]) -> dict[str, Any]:
        return {**where, names[0]: value if len(names) == 1 else put(where[names[0]], names[1:])}

    return {**GOOD, top: put(inner, rest)}


def flagged(now: Any, before: Any = GOOD) -> list[str]:
    return [finding.name for finding in findings(now, before) if finding.flag == "look"]


def by_name(now: Any, before: Any = GOOD) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings(now, before)}


def test_nothing_is_flagged_where_all_is_well() -> None:
    assert flagged(GOOD) == []
    assert {finding.flag for finding in findings(GOOD, GOOD)} == {"ok", "shown", "no data"}
    missing = [finding.name for finding in findings(GOOD, GOOD) if finding.flag == "no data"]
    assert missing == ["swap_flip_share", "first_place_share", "chosen_sinks"]


CASES = [
    ("chosen_minus_rejected_tokens", 20.0, "chosen_minus_rejected"),
    ("longer_is_chosen_share", 0.8, "longer_is_chosen_share"),
    ("score_length_correlation", 0.6, "score_length_correlation"),
    ("truncated_share", 0.3, "truncated_share"),
    ("top_score_share", 0.7, "top_score_share"),
    ("tie_share", 0.6, "tie_share"),
    ("unreadable_share", 0.2, "unreadable_share"),
    ("judge_agreement", 0.6, "judge_agreement"),
    ("judge_agreement_with_first", 0.6, "judge_agreement_with_first"),
    ("judge_quality.whole.judge.pairwise_accuracy.low", 0.48, "judge_accuracy_low"),
    ("judge_quality.whole.length_only.pairwise_accuracy.value", 0.75, "judge_over_length"),
    ("judge_quality.length_balanced.judge.pairwise_accuracy.value", 0.45, "judge_accuracy_balanced"),
    ("injection.chosen_share", 0.1, "flagged_chosen"),
    ("injection.wins", 0.9, "flagged_wins"),
    ("swap_flip_share", 0.7, "swap_flip_share"),
    ("meta_judge.swap_flip_share", 0.7, "meta_judge_flips"),
    ("meta_judge.higher_score_wins", 0.9, "meta_judge_higher"),
    ("meta_judge.longer_wins", 0.9, "meta_judge_longer"),
    ("pair_similarity.mean", 0.9, "pair_similarity"),
    ("preference_training.loss.last", 0.69, "last_loss"),
    ("preference_training.rewards/chosen.last", -2.0, "chosen_reward"),
    ("preference_training.rewards/margins.last", 0.0, "reward_margin"),
    ("preference_training.rewards/accuracies.last", 0.5, "reward_accuracy"),
    ("diversity.prompts_distinct_2", 0.5, "prompts_distinct_2"),
    ("diversity.near_duplicate_prompts", 0.3, "near_duplicate_prompts"),
    ("diversity.same_text_share", 0.3, "same_text_share"),
]
TRENDS = [
    ("response_tokens.mean", 130.0, "length_growth"),
    ("score_entropy", 1.0, "entropy_against_before"),
    ("pairs_per_prompt", 0.6, "yield_against_before"),
    ("judge_quality.whole.judge.pairwise_accuracy.value", 0.6, "judge_accuracy_change"),
    ("margin.mean", 1.0, "margin_against_before"),
    ("diversity.responses_distinct_2", 0.7, "distinct_against_before"),
]
BOTH = [
    ("score_entropy", 0.4, ["score_entropy", "entropy_against_before"]),
    ("pairs_per_prompt", 0.3, ["pairs_per_prompt", "yield_against_before"]),
    ("diversity.responses_distinct_2", 0.5, ["responses_distinct_2", "distinct_against_before"]),
]


@pytest.mark.parametrize(("path", "value", "name"), CASES)
def test_a_figure_beyond_its_limit_is_flagged(path: str, value: float, name: str) -> None:
    assert flagged(changed(path, value)) == [name]
    found = by_name(changed(path, value))[name]
    assert found.means.endswith(".")
    assert found.advice


@pytest.mark.parametrize(("path", "value", "name"), TRENDS)
def test_a_trend_is_flagged_against_the_iteration_before(path: str, value: float, name: str) -> None:
    now = changed(path, value)
    found = [flag for flag in flagged(now) if flag != "judge_over_length"]
    assert found == [name]
    assert name not in flagged(now, before=now)
    alone = by_name(now, before={})[name]
    assert (alone.flag, alone.value) == ("no data", None)
    assert alone.means, "it says why there is nothing to compare with"


@pytest.mark.parametrize(("path", "value", "names"), BOTH)
def test_some_have_a_limit_and_a_trend(path: str, value: float, names: list[str]) -> None:
    assert flagged(changed(path, value)) == names


def test_every_limit_is_tested() -> None:
    limited = {check.name for family in FAMILIES for check in family.checks if check.limit}
    assert limited == {case[2] for case in CASES + TRENDS} | {name for case in BOTH + OBJECTIVES for name in case[-1]}


def test_names_and_words_are_each_there_once() -> None:
    checks = [check for family in FAMILIES for check in family.checks]
    assert len({check.name for check in checks}) == len(checks)
    assert len({family.failure for family in FAMILIES}) == len(FAMILIES)
    for check in checks:
        assert len(check.title) <= 30, f"{check.name}: too wide for the table"
        assert bool(check.limit) == bool(check.means and check.advice), check.name


@pytest.mark.parametrize("count", list(ENOUGH))
def test_too_few_say_nothing(count: str) -> None:
    cases = [*CASES, *((path, value, names[0]) for path, value, names in BOTH)]
    silenced = 0
    for path, value, name in cases:
        now = changed(path, value)
        found = by_name({**now, count: 5})[name]
        if found.flag == "no data":
            silenced += 1
            assert found.means.startswith(f"5 {count} are too few")
            assert by_name(now)[name].flag == "look"
    assert silenced


def test_before_is_the_same_figure_of_the_iteration_before() -> None:
    found = by_name(GOOD, changed("truncated_share", 0.07))
    assert (found["truncated_share"].value, found["truncated_share"].before) == (0.01, 0.07)
    assert found["truncated_share"].limit == "at most 0.1"
    assert found["length_growth"].before is None


def test_nothing_known_is_no_error() -> None:
    assert {finding.flag for finding in findings({}, {})} == {"no data"}


def test_strengths_of_a_judge_that_compares_do_not_saturate() -> None:
    found = by_name({**changed("score_entropy", 0.1), "comparisons": 40, "swap_flip_share": 0.1})
    assert found["score_entropy"].flag == "no data"
    assert found["swap_flip_share"].flag == "ok"


def test_limits() -> None:
    assert at_most(1.0).holds(1.0)
    assert not at_most(1.0).holds(1.1)
    assert at_least(1.0).holds(1.0)
    assert not at_least(1.0).holds(0.9)


def test_every_threshold_says_why() -> None:
    source = ast.parse(Path(str(thresholds.__file__)).read_text(encoding="utf-8"))
    body = source.body[1:]
    for constant, why in zip(body[::2], body[1::2], strict=True):
        assert isinstance(constant, ast.Assign)
        assert isinstance(why, ast.Expr)
        assert isinstance(why.value, ast.Constant)
        assert len(str(why.value.value)) > 30


def trained(objective: dict[str, Any], **logged: tuple[float, float]) -> dict[str, Any]:
    """Good figures of another objective; each logged value as (first, last) quarter."""
    steps = {name.replace("__", "/"): {"first": first, "last": last} for name, (first, last) in logged.items()}
    return {**GOOD, "objective": objective, "preference_training": {**GOOD["preference_training"], **steps}}


ALONE = {"type": "simpo", "losses": [], "reference": False}


OBJECTIVES: list[tuple[dict[str, Any], list[str]]] = [
    (trained({"type": "dpo", "losses": ["hinge"], "reference": True}, loss=(1.0, 0.9)), []),
    (trained({"type": "dpo", "losses": ["robust"], "reference": True}, loss=(0.693, 0.69)), ["last_loss"]),
    (trained({"type": "dpo", "losses": ["sigmoid", "sft"], "reference": True}, loss=(2.0, 1.9)), []),
    (trained(ALONE, loss=(1.2, 1.0), rewards__chosen=(-4.0, -3.9), rewards__margins=(-1.0, 0.5)), []),
    (trained(ALONE, loss=(1.2, 1.0), rewards__margins=(-1.0, -1.0)), ["reward_margin"]),
    (trained(ALONE, loss=(1.2, 1.0), rewards__margins=(0, 1), logps__chosen=(-2.0, -3.0)), ["chosen_sinks"]),
]


@pytest.mark.parametrize(("now", "names"), OBJECTIVES)
def test_each_objective_is_held_to_what_its_figures_mean(now: Any, names: list[str]) -> None:
    assert flagged(now) == names
