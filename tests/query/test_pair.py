"""One pair whole, and the exact question behind each verdict."""

import pytest
from fixture_run import replace_stage

from selfreward.errors import StoreError
from selfreward.judges import JudgeConfig
from selfreward.overriding import exclude, set_score
from selfreward.query.pair import pair_view
from selfreward.query.questions import questions_of
from selfreward.records import Judgment, PreferencePair
from selfreward.storage.run import RunStore
from selfreward.templates import load_rubric
from selfreward.walk import PromptWalk, walk


def pair_of(run: RunStore, t: int = 1) -> PreferencePair:
    (pair,) = run.iteration(t).stored("pairs", PreferencePair).records()
    return pair


def judged_by(run: RunStore, t: int = 1, **judge: object) -> None:
    """Writes into manifest and judgments how the iteration was judged."""
    it = run.iteration(t)
    config = JudgeConfig.model_validate(judge)
    templates = {"judge.rubric": config.load_rubric().hash}
    it.manifest = it.manifest.model_copy(update={"config": {"judge": judge}, "templates": templates})
    how = {"method": config.method.type, "rubric": config.load_rubric().label}
    judgments = [judgment.model_copy(update=how) for judgment in it.stored("judgments", Judgment).records()]
    replace_stage(it, "judgments", judgments, Judgment)


def test_candidates_are_ranked_with_all_that_was_said(finished_run: RunStore) -> None:
    pair = pair_of(finished_run)
    found = pair_view(finished_run, 1, pair.id)
    assert [candidate.score for candidate in found.ranked] == [4.0, 3.0, 1.5]
    assert [candidate.role for candidate in found.ranked] == ["chosen", None, "rejected"]
    assert found.pair == pair
    assert found.row.flags == ("injection",)
    assert [len(candidate.judgments) for candidate in found.ranked] == [2, 2, 2]
    assert (found.others, found.overrides, found.comparisons) == ((), (), ())
    assert [shot.text for shot in found.walk.few_shot] == ["Name a colour."]


def test_other_pairs_and_decisions_stand_beside_it(finished_run: RunStore) -> None:
    it = finished_run.iteration(2)
    pair = pair_of(finished_run, 2)
    (third,) = (c.response for c in pair_view(finished_run, 2, pair.id).ranked if c.role is None)
    other = pair.model_copy(update={"id": "pair-other", "rejected_id": third.id, "margin": 1.0})
    replace_stage(it, "pairs", [pair, other], PreferencePair, settings={"pairs": {"type": "all_pairs"}})
    exclude(finished_run, pair.id, "bad")
    set_score(finished_run, third.id, 1, "worse")
    found = pair_view(finished_run, 2, "pair-other")
    assert [row.id for row in found.others] == [pair.id]
    assert [override.action for override in found.overrides] == ["exclude", "score"]
    assert [c.given for c in found.ranked] == [None, 1.0, None]
    assert len(found.state.pending) == 2


def test_an_unknown_pair_is_told(finished_run: RunStore) -> None:
    with pytest.raises(StoreError, match="no pair nothing"):
        pair_view(finished_run, 1, "nothing")


def test_the_question_is_the_rubric_around_prompt_and_response(finished_run: RunStore) -> None:
    judged_by(finished_run, rubric="additive_5pt", method={"type": "sampled", "samples": 2, "temperature": 0.3})
    found = pair_view(finished_run, 1, pair_of(finished_run).id)
    asked, best = found.questions, found.ranked[0]
    assert (asked.method["samples"], asked.method["temperature"], asked.missing) == (2, 0.3, "")
    question = asked.about(best.judgments[0])
    assert question is not None
    (message,) = question.messages
    rubric = load_rubric("additive_5pt")
    assert message.content == rubric.render({"prompt": found.walk.prompt.text, "response": best.response.text})
    assert question.prefill == ""


def test_an_expected_score_says_how_the_turn_was_opened(finished_run: RunStore) -> None:
    judged_by(finished_run, method="expected")
    (question, *_) = pair_view(finished_run, 1, pair_of(finished_run).id).questions.questions
    assert question.prefill == "Score: "


def test_comparisons_have_both_responses_in_their_order(finished_run: RunStore) -> None:
    judged_by(finished_run, method="pairwise")
    it, pair = finished_run.iteration(1), pair_of(finished_run)
    judgments = list(it.stored("judgments", Judgment).records())
    both = judgments[0].model_copy(update={"id": "j-both", "response_ids": (pair.rejected_id, pair.chosen_id)})
    replace_stage(it, "judgments", [*judgments, both.model_copy(update={"score": 0.25})], Judgment)
    found = pair_view(finished_run, 1, pair.id)
    (comparison,) = found.comparisons
    question = found.questions.about(comparison)
    assert question is not None
    text = question.messages[0].content
    assert text.index("answer 1") < text.index("answer 0")
    assert found.ranked[0].score == 4.0, "a comparison is no score of one response"
    assert found.questions.about(judgments[0]) is None


@pytest.mark.parametrize(
    ("judge", "templates", "said"),
    [
        ({"rubric": "additive_5pt"}, {"judge.rubric": "f" * 64}, "not any more what the iteration was judged by"),
        ({"rubric": "gone.md"}, {"judge.rubric": "f" * 64}, "gone.md"),
        ({"colour": "blue"}, {}, "another version"),
    ],
)
def test_words_that_are_not_at_hand_are_not_made_up(
    finished_run: RunStore, judge: dict[str, object], templates: dict[str, str], said: str
) -> None:
    it = finished_run.iteration(1)
    it.manifest = it.manifest.model_copy(update={"config": {"judge": judge}, "templates": templates})
    it.save()
    prompt = walk(finished_run, pair_of(finished_run).id)
    assert isinstance(prompt, PromptWalk)
    found = questions_of(finished_run, prompt)
    assert found.questions == ()
    assert said in found.missing
