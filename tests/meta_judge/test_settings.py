"""Settings of the meta-judge: what it needs of a recipe, and which rubrics it takes."""

from pathlib import Path
from typing import Any

import pytest

from selfreward.config import RunConfig, load_config, make_config
from selfreward.errors import ConfigError, TemplateError
from selfreward.judges import JudgeConfig
from selfreward.meta_judge.settings import MetaJudgeConfig
from selfreward.records import key_settings
from selfreward.templates import load_meta_rubric, load_rubric

GOOD = load_meta_rubric("compare_judgments").path.read_text(encoding="utf-8")


def config(**changes: Any) -> RunConfig:
    return make_config({"model": "m", "prompts": {"file": "p.txt"}}, changes, "test")


def test_it_is_off_unless_the_recipe_says_so() -> None:
    assert config().meta_judge is None
    assert config(meta_judge={}).meta_judge == MetaJudgeConfig()
    assert config(**{"meta_judge.max_share": 0.1}).meta_judge == MetaJudgeConfig(max_share=0.1)


@pytest.mark.parametrize(
    ("judge", "says"),
    [
        ({"method": "expected"}, "judge.method.type=expected writes none that are kept of a response; use"),
        ({"method": "pairwise"}, "judge.method.type=pairwise writes none"),
        ({"method": {"samples": 1}}, "judge.method.samples=1 gives no two; set judge.method.samples to at least 2"),
        ({"method": {"temperature": 0}}, "judge.method.temperature=0 gives no two"),
        ({"model": {"name": "big"}}, "judge.model=big judges in its place; leave judge.model out, or meta_judge"),
    ],
)
def test_what_gives_nothing_to_compare_is_refused(judge: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(judge=judge, meta_judge={})
    assert says in str(refused.value)
    config(judge=judge)


@pytest.mark.parametrize(
    "wrong", [{"max_share": 0}, {"max_share": 1}, {"max_score_share": 0}, {"max_judgment_tokens": 0}, {"maxshare": 0.1}]
)
def test_bad_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="meta_judge"):
        config(meta_judge=wrong)


@pytest.mark.parametrize(("share", "beside", "most"), [(0.25, 30, 10), (0.5, 7, 7), (0.1, 5, 0), (0.2, 4, 1)])
def test_the_share_is_of_all_training_pairs(share: float, beside: int, most: int) -> None:
    assert MetaJudgeConfig(max_share=share).most_pairs(beside) == most
    assert most <= share * (most + beside) + 1e-9


def test_the_last_iteration() -> None:
    assert [MetaJudgeConfig(last_iteration=2).holds_in(t) for t in (1, 2, 3)] == [True, True, False]
    assert MetaJudgeConfig().holds_in(99)


def test_how_a_comparison_is_asked_for() -> None:
    verdicts = [config(meta_judge=m).meta_judge for m in ({}, {"verdict": {"samples": 3}}, {"verdict": "expected"})]
    assert [verdict and verdict.verdict.type for verdict in verdicts] == ["sampled", "sampled", "expected"]
    assert [key_settings(v).get("verdict", {}).get("samples") for v in verdicts if v] == [1, 3, None]
    assert verdicts[2] is not None
    assert verdicts[2].reader(("<think>", "</think>")).needs == {"prefill", "next_token"}


def test_a_rubric_has_to_compare_judgments(tmp_path: Path) -> None:
    for name in ("pairwise", "additive_5pt"):
        with pytest.raises(ConfigError, match="does not ask which of two judgments is better"):
            MetaJudgeConfig(rubric=str(load_rubric(name).path)).load_rubric()
    with pytest.raises(ConfigError, match="does not ask about"):
        JudgeConfig(rubric=str(load_meta_rubric("compare_judgments").path)).load_rubric()
    with pytest.raises(ConfigError, match="does not ask about"):
        JudgeConfig.model_validate(
            {"rubric": str(load_meta_rubric("compare_judgments").path), "method": "pairwise"}
        ).load_rubric()
    bad = tmp_path / "bad.md"
    bad.write_text(GOOD.replace("Verdict: B\n  score: 0", "Verdict: A\n  score: 0"), encoding="utf-8")
    with pytest.raises(TemplateError, match="golden: 0 was expected"):
        MetaJudgeConfig(rubric=str(bad)).load_rubric()


def test_a_rubric_of_ones_own_is_found_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text(GOOD.replace("name: compare_judgments", "name: mine"), encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: m\nprompts: {file: p.txt}\nmeta_judge: {rubric: mine.md}\n", encoding="utf-8")
    found = load_config(recipe).meta_judge
    assert found is not None
    assert found.load_rubric().front.name == "mine"
