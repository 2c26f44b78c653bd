"""The response whose judgments vary most."""

import random
from dataclasses import replace
from statistics import pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_judgments import judged

from selfreward.judges import JudgeConfig
from selfreward.judges.asking import ask
from selfreward.meta_judge.contested import Contested, most_contested, question
from selfreward.records import Prompt, Response

Scores = list[list[float]]


@pytest.mark.parametrize(
    ("scores", "unusable", "found"),
    [
        ([[3, 3, 3], [1, 5, 3], [2, 3, 2]], (), (1, 3)),
        ([[3, 3, 3], [1, 5, 3], [2, 3, 2]], ("j-1-0", "j-1-1"), (2, 3)),
        ([[1, 2], [1, 2]], (), (0, 2)),
        ([[3, 3], [5, 5]], (), "no_variance"),
        ([[3], [5]], (), "too_few_judgments"),
        ([[1, 5]], ("j-0-0",), "too_few_judgments"),
        ([], (), "too_few_judgments"),
        ([[0.1 + 0.2, 0.3], [4, 4]], (), "no_variance"),
    ],
)
def test_which_it_is(scores: Scores, unusable: tuple[str, ...], found: tuple[int, int] | str) -> None:
    contested = most_contested(judged([*map(list, scores)]), dict.fromkeys(unusable, "unreadable"))
    if isinstance(contested, Contested):
        assert (contested.response.index, len(contested.judgments)) == found
        assert not {j.id for j in contested.judgments} & set(unusable)
    else:
        assert contested == found


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.5, 5.0]), max_size=4), max_size=4), st.randoms())
def test_the_order_of_records_does_not_matter(scores: Scores, drawn: random.Random) -> None:
    one = judged([*map(list, scores)])
    responses, judgments = list(one.responses), list(one.judgments)
    drawn.shuffle(responses)
    drawn.shuffle(judgments)
    found = most_contested(one, {})
    assert most_contested(replace(one, responses=responses, judgments=judgments), {}) == found
    if isinstance(found, Contested):
        widest = max(pvariance(own) for own in scores if len(own) > 1)
        assert pvariance(scores[found.response.index]) == pytest.approx(widest)
        assert {j.response_ids for j in found.judgments} == {(found.response.id,)}


def test_the_question_is_what_the_judge_was_asked() -> None:
    config = JudgeConfig.model_validate({"sees": "reasoning_and_answer"})
    rubric = config.load_rubric()
    prompt = Prompt(id="p", text="Why?", iteration=1)
    response: Response = judged([[1, 2]]).responses[0].model_copy(update={"reasoning": "Let me see."})
    (asked,) = ask(rubric, "Why?", "Let me see.\n\nAn answer.")
    assert question(rubric, config, prompt, response) == asked
