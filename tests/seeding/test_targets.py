"""What of a response's judgments is taught."""

import json

import pytest

from selfreward.records import Judgment
from selfreward.seeding.targets import Target, Unusable, mean_score, rationale_of, target
from selfreward.templates import load_rubric

RUBRIC = load_rubric("additive_5pt")
TAGS = ("<think>", "</think>")


def judgment(
    raw: str, score: float | None, sample: int = 0, method: str = "sampled", shortened: bool = False
) -> Judgment:
    return Judgment(
        id=f"j{sample}",
        prompt_id="q",
        response_ids=("r",),
        method=method,
        rubric=RUBRIC.label,
        sample=sample,
        score=score,
        raw=raw,
        shortened=shortened,
        prompt_tokens=9,
        model="m",
    )


def taught(*judgments: Judgment) -> Target | Unusable:
    return target(judgments, RUBRIC, TAGS, lambda text: "<|im_end|>" in text)


def test_the_judgment_nearest_to_the_mean_is_taught() -> None:
    own = [judgment(f"It is number {i}.\nScore: {s}", s, i) for i, s in enumerate((5, 3, 2))]
    assert mean_score(own) == pytest.approx(10 / 3)
    assert taught(*own) == Target(3, "It is number 1.")
    assert taught(*own[:2]) == Target(5, "It is number 0.")  # the first of equals


def test_an_unusable_judgment_gives_way_to_the_next() -> None:
    bad = judgment("Score: 3", 3, 0)
    assert taught(bad, judgment("Right.\nScore: 4", 4, 1), judgment("?", None, 2)) == Target(4, "Right.")
    found = taught(bad)
    assert isinstance(found, Unusable)
    assert found.reason == "no_rationale"


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (judgment("Hm.", None), "unreadable"),
        (judgment("It ends <|im_end|>.\nScore: 3", 3), "special_tokens"),
        (judgment("Good.\nScore: 3", 3, shortened=True), "too_long"),
        (judgment("Good.\nScore: 3.5", 3.5), "part_score"),
    ],
)
def test_what_is_never_taught(own: Judgment, reason: str) -> None:
    found = taught(own)
    assert isinstance(found, Unusable)
    assert found.reason == reason


@pytest.mark.parametrize(("mean", "score"), [(2.4, 2), (2.5, 3), (0.1, 0), (4.9, 5)])
def test_a_score_alone_becomes_the_nearest_whole_one(mean: float, score: int) -> None:
    assert taught(judgment("", mean, method="expected")) == Target(score)


def test_reasoning_is_not_taught() -> None:
    assert taught(judgment("<think>Hm, a 4? Score: 1</think>It is right.\nScore: 4", 4)) == Target(4, "It is right.")


@pytest.mark.parametrize(
    ("text", "score", "rationale"),
    [
        ("It is right.\nScore: 4", 4, "It is right."),
        ("One.\n\nTwo.\n**Score: 4**\nThanks for asking!", 4, "One.\n\nTwo."),
        ("It is right. Score: 4", 4, "It is right."),
        ("Score: 4", 4, None),
        ("Score: 4\nIt is right.", 4, None),
        ("Good.\nScore: 3\nNo, better.\nScore: 4", 4, None),  # two verdicts
        ("...\nScore: 4", 4, None),
        ("<response>So.</response> is right.\nScore: 4", 4, None),  # repeats the question
        ("It is right.", 4, None),
    ],
)
def test_the_judges_own_reasons(text: str, score: float, rationale: str | None) -> None:
    assert rationale_of(text, score, RUBRIC) == rationale


def test_reasons_in_json() -> None:
    rubric = load_rubric("faults_5pt_json")
    assert rationale_of(json.dumps({"rationale": "Right.", "score": 4}), 4, rubric) == "Right."
    assert rationale_of('I say:\n{"rationale": "Right.\n", "score": 4}', 4, rubric) == "Right."
    assert rationale_of('{"score": 4}', 4, rubric) is None
    assert rationale_of("[1]", 4, rubric) is None
    assert rationale_of('{"rationale": 3, "score": 4}', 4, rubric) is None
