"""A mix: parts on one scale, their weights, and what an unreadable part does."""

from statistics import fmean, pstdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from selfreward.errors import ConfigError
from selfreward.judges import JudgeConfig
from selfreward.judges.mix import mixed
from selfreward.judges.protocol import Candidate
from selfreward.records import Judgment

CANDIDATES = [Candidate(f"p-{p}", f"r-{p}{i}", "Why?", "So.") for p in range(2) for i in range(3)]
PARTS = {"good": {"method": "expected"}, "right": {"method": {"type": "verifiable", "function": "x.py:f"}, "weight": 3}}


def judgments(*scores: float | None) -> list[Judgment]:
    """One of each candidate."""
    return [
        Judgment(
            id=f"j-{c.response_id}",
            prompt_id=c.prompt_id,
            response_ids=c.response_ids,
            method="expected",
            rubric="some@0",
            sample=0,
            score=score,
            raw="",
            prompt_tokens=1,
            model="m",
        )
        for c, score in zip(CANDIDATES, scores, strict=True)
    ]


def mix(weights: dict[str, float], **parts: list[Judgment]) -> list[Judgment]:
    return mixed(weights, parts, CANDIDATES, "M1")


def test_scores_are_deviations_from_the_prompts_mean_in_units_of_all_of_them() -> None:
    scores = (5, 4, 3, 1, 1, 1)
    found = mix({"a": 1.0}, a=judgments(*scores))
    apart = [1, 0, -1, 0, 0, 0]
    assert [j.score for j in found] == pytest.approx([one / pstdev(apart) for one in apart], abs=1e-6)
    assert [j.response_ids for j in found] == [c.response_ids for c in CANDIDATES]
    assert {(j.method, j.rubric, j.model, j.prompt_tokens) for j in found} == {("mix", "", "M1", 0)}


def test_parts_are_kept_and_weighed() -> None:
    found = mix({"a": 1.0, "b": 3.0}, a=judgments(2, 0, 1, 2, 0, 1), b=judgments(100, 200, 150, 100, 200, 150))
    unit = pstdev([1, -1, 0, 1, -1, 0])
    first = found[0]
    assert {a.name: a.score for a in first.aspects or ()} == pytest.approx({"a": 1 / unit, "b": -1 / unit})
    assert first.score == pytest.approx((1 - 3) / 4 / unit)
    assert found[1].score == pytest.approx(-(first.score or 0))


def test_without_one_part_there_is_no_score() -> None:
    first, second, *_ = mix({"a": 1.0, "b": 1.0}, a=judgments(1, 2, 3, 1, 2, 3), b=judgments(None, 1, 2, 1, 2, 3))
    assert (first.score, first.raw, [a.name for a in first.aspects or ()]) == (None, "no score by b", ["a"])
    assert second.score is not None


def test_a_part_that_tells_none_from_another_adds_nothing() -> None:
    alone = mix({"a": 1.0}, a=judgments(1, 2, 3, 3, 2, 1))
    both = mix({"a": 1.0, "flat": 1.0}, a=judgments(1, 2, 3, 3, 2, 1), flat=judgments(*[4.0] * 6))
    assert [j.score for j in both] == pytest.approx([(j.score or 0) / 2 for j in alone])


def test_several_verdicts_are_averaged_and_comparisons_left_out() -> None:
    sampled = [*judgments(1, 1, 1, 0, 0, 0), *judgments(3, 1, None, 0, 0, 0)]
    compared = sampled[0].model_copy(update={"response_ids": ("r-00", "r-01"), "score": 0.9})
    assert [j.score for j in mix({"a": 1.0}, a=[*sampled, compared])] == [
        j.score for j in mix({"a": 1.0}, a=judgments(2, 1, 1, 0, 0, 0))
    ]


@given(
    st.lists(st.integers(-50, 50), min_size=6, max_size=6),
    st.floats(0.1, 10),
    st.floats(-10, 10),
)
def test_neither_unit_nor_origin_matters(scores: list[int], unit: float, origin: float) -> None:
    one = mix({"a": 1.0}, a=judgments(*map(float, scores)))
    other = mix({"a": 1.0}, a=judgments(*(unit * score + origin for score in scores)))
    assert [j.score for j in one] == pytest.approx([j.score for j in other], abs=1e-6)
    assert fmean(j.score or 0 for j in one) == pytest.approx(0, abs=1e-6)


def test_each_part_is_a_judge_of_its_own() -> None:
    config = JudgeConfig.model_validate({"method": {"type": "mix", "parts": PARTS}, "sees": "reasoning_and_answer"})
    parts = config.parts()
    assert {name: part.method.type for name, part in parts.items()} == {"good": "expected", "right": "verifiable"}
    assert {part.sees for part in parts.values()} == {"reasoning_and_answer"}
    assert list(config.rubrics()) == ["judge.method.parts.good.rubric"]
    taught = config.taught()
    assert taught is not None
    assert taught.method.type == "expected"
    assert (config.asks("model"), config.asks("policy")) == (True, False)


@pytest.mark.parametrize(
    "parts",
    [
        {"good": PARTS["good"]},
        {**PARTS, "Not a name": {"method": "expected"}},
        {**PARTS, "more": {"method": {"type": "mix", "parts": PARTS}}},
        {**PARTS, "more": {"method": "expected", "weight": 0}},
    ],
)
def test_a_mix_is_of_two_named_and_weighed_methods(parts: Any) -> None:
    with pytest.raises(ValidationError):
        JudgeConfig.model_validate({"method": {"type": "mix", "parts": parts}})


@pytest.mark.parametrize(
    ("method", "way_out"),
    [("implicit", "leave judge.rubric out"), ({"type": "mix", "parts": PARTS}, "judge.method.parts.NAME.rubric")],
)
def test_a_rubric_that_nobody_reads_is_refused(method: Any, way_out: str) -> None:
    config = JudgeConfig.model_validate({"method": method, "rubric": "additive_5pt"})
    with pytest.raises(ConfigError, match=f"reads none; .*{way_out}"):
        config.optional_rubric()
