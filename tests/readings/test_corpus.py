"""The right reading of what judges really write: tests/readings/corpus.yaml."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from selfreward.reasoning import split_reasoning
from selfreward.templates import Rubric, RubricFrontMatter

_WORDS = "<request>\n{{ prompt }}\n</request>\n\n<response>\n{{ response }}\n</response>"
CORPUS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "corpus.yaml").read_text(encoding="utf-8"))
CASES = [(group, case["reply"], case["score"]) for group in CORPUS for case in group["replies"]]


def rubric(group: dict[str, Any]) -> Rubric:
    front = {
        "name": "corpus",
        "inputs": ["prompt", "response"],
        "golden": {"reply": "", "score": 0},
        "scale": group["scale"],
        "verdict": group["verdict"],
        "aspects": group.get("aspects", {}),
    }
    return Rubric(Path("corpus.md"), RubricFrontMatter.model_validate(front), _WORDS, "0" * 64)


@pytest.mark.parametrize(("group", "reply", "score"), CASES)
def test_reading(group: dict[str, Any], reply: str, score: float | None) -> None:
    _, own_words = split_reasoning(reply, ("<think>", "</think>"))
    assert rubric(group).read(own_words).score == score


def test_the_corpus_is_long_and_has_no_doubles() -> None:
    assert len(CASES) >= 150
    for group in CORPUS:
        replies = [case["reply"] for case in group["replies"]]
        assert len(set(replies)) == len(replies)


def test_a_reply_that_was_cut_off_after_a_digit_is_unreadable() -> None:
    by_verdict = {str(group["verdict"]): rubric(group) for group in CORPUS}
    ten = by_verdict["Rating: [[{{ score }}]]"]
    assert ten.read("Rating: 1").score == 1
    assert ten.read("Rating: 1", cut_off=True).score is None
    assert ten.read("Rating: [[1]]", cut_off=True).score == 1
    assert ten.read("Rating: [[10]]\nBecause it is", cut_off=True).score == 10
    line = by_verdict["Score: {{ score }}"]
    assert line.read("Score: 3\nOr rather\nScore: 4", cut_off=True).score is None
