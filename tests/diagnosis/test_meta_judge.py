"""The meta-judge's figures: who wins, and whether places, scores or lengths decide."""

import pytest
from judged_judgments import agreed, comparison, flipped, judged, judgment

from selfreward.diagnosis.families import findings
from selfreward.diagnosis.meta_judge import meta_judge_figures
from selfreward.records import Judgment, Message, PreferencePair


def pair(chosen: str, rejected: str) -> PreferencePair:
    turn = (Message(role="user", content="?"),)
    return PreferencePair(
        id=f"pair-{chosen}",
        prompt=turn,
        chosen=turn,
        rejected=turn,
        prompt_id="p",
        chosen_id=chosen,
        rejected_id=rejected,
        chosen_score=1.0,
        rejected_score=-1.0,
        margin=2.0,
        chosen_token_ids=(),
        rejected_token_ids=(),
        retokenised=False,
    )


def test_who_wins() -> None:
    one = list(judged([[1, 5, 4]]).judgments)
    decided = [*agreed("j-0-1", "j-0-0"), *agreed("j-0-2", "j-0-1"), *flipped("j-0-0", "j-0-2")]
    unread = [comparison("j-1-0", "j-1-1", None), comparison("j-1-1", "j-1-0", 1.0)]
    other = [judgment("j-1-0", 2), judgment("j-1-1", 2)]
    figures = meta_judge_figures([(one, decided), (other, unread)], [pair("j-0-2", "j-0-0")], 3)
    found = figures["meta_judge"]
    assert figures["judgments_compared"] == 4
    assert found["readable_share"] == 0.75
    assert found["order_agreement_share"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["swap_flip_share"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["wins_by_score"] == {"1": 0.0, "4": 1.0, "5": 0.5}
    assert found["higher_score_wins"] == 0.5
    assert (found["pairs"], found["training_share"]) == (1, 0.25)
    assert (found["chosen_scores"], found["rejected_scores"]) == ({"4": 1}, {"1": 1})


def test_the_longer_one() -> None:
    two = [judgment("a", 3, "x" * 9), judgment("b", 3, "x" * 5), judgment("c", 3, "x" * 5)]
    decided: list[Judgment] = [*agreed("a", "b"), *agreed("c", "a"), *agreed("b", "c")]
    found = meta_judge_figures([(two, decided)], [], 0)["meta_judge"]
    assert (found["longer_wins"], found["higher_score_wins"], found["training_share"]) == (0.5, None, None)


def test_where_all_flip_nothing_is_won_and_diagnose_says_so() -> None:
    two = [judgment("a", 3), judgment("b", 4)]
    figures = meta_judge_figures([(two, flipped("a", "b"))], [], 0)
    assert figures["meta_judge"]["wins_by_score"] == {}
    (found,) = (one for one in findings(figures, {}) if one.name == "meta_judge_wins")
    assert (found.value, found.flag) == (None, "no data")
