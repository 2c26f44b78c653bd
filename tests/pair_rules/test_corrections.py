"""What persons decided, as building pairs sees it."""

from scored_responses import all_scored

from selfreward.pair_rules.corrections import NO_CORRECTIONS, Corrections
from selfreward.pair_rules.scored import usable_responses

BEST, WORST = all_scored(4.0, 1.0)
TWO = frozenset({BEST.response.id, WORST.response.id})


def test_without_decisions_a_pair_stays_as_it_is() -> None:
    assert NO_CORRECTIONS.sides(BEST, WORST) == (BEST, WORST)


def test_a_pair_is_left_out_whichever_side_is_chosen() -> None:
    corrections = Corrections(excluded=frozenset({TWO}))
    assert corrections.sides(BEST, WORST) is None
    assert corrections.sides(WORST, BEST) is None


def test_the_chosen_side_is_the_one_that_was_named() -> None:
    corrections = Corrections(chosen={TWO: WORST.response.id})
    assert corrections.sides(BEST, WORST) == (WORST, BEST)
    assert corrections.sides(WORST, BEST) == (WORST, BEST)


def test_a_given_score_stands_for_all_verdicts() -> None:
    responses = [BEST.response, WORST.response]
    usable, unusable = usable_responses(responses, [], 1, {BEST.response.id: 2.5})
    assert [(one.response.id, one.score) for one in usable] == [(BEST.response.id, 2.5)]
    assert unusable == {"unjudged": 1}


def test_a_given_score_saves_no_response_that_was_cut_off() -> None:
    cut = BEST.response.model_copy(update={"finish_reason": "length"})
    assert usable_responses([cut], [], 1, {cut.id: 5.0})[1] == {"truncated": 1}
