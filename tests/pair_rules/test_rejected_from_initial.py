"""The best of the policy's responses against the worst of the initial model's."""

from dataclasses import replace

import pytest
from hypothesis import given
from scored_responses import CANDIDATES, MARGINS, all_scored, candidates, indices, scored

from selfreward.pair_rules.rejected_from_initial import rejected_from_initial
from selfreward.pair_rules.scored import Scored


def sides(own: list[float], initial: list[float]) -> list[Scored]:
    """Indices go on from one side to the other."""
    return [replace(one, initial=one.response.index >= len(own)) for one in all_scored(*own, *initial)]


@pytest.mark.parametrize(
    ("own", "initial", "margin", "found"),
    [
        ([3.0, 5.0, 1.0], [4.0, 2.0, 3.0], 0.0, [(1, 4)]),
        ([5.0, 5.0], [2.0, 2.0], 0.0, [(0, 2)]),
        ([3.0, 1.0], [3.0, 4.0], 0.0, "initial_not_worse"),
        ([1.0], [2.0], 0.0, "initial_not_worse"),
        ([3.0], [2.5], 1.0, "small_initial_margin"),
        ([3.0], [2.0], 1.0, [(0, 1)]),
        ([3.0, 1.0], [], 0.0, "one_side_only"),
        ([], [3.0, 1.0], 0.0, "one_side_only"),
    ],
)
def test_by_hand(own: list[float], initial: list[float], margin: float, found: object) -> None:
    assert indices(rejected_from_initial(sides(own, initial), margin)) == found


def test_the_same_text_is_no_pair() -> None:
    pair = [scored(0, 3.0, "Yes."), replace(scored(1, 2.0, " Yes.\n"), initial=True)]
    assert rejected_from_initial(pair, 0.0) == "identical"


@given(CANDIDATES, CANDIDATES, MARGINS)
def test_chosen_is_always_the_policys_and_rejected_the_initials(
    own: list[tuple[float, str]], initial: list[tuple[float, str]], margin: float
) -> None:
    found = [replace(one, initial=one.response.index >= len(own)) for one in candidates([*own, *initial])]
    result = rejected_from_initial(found, margin)
    if isinstance(result, str):
        return
    ((chosen, rejected),) = result
    assert (chosen.initial, rejected.initial) == (False, True)
    assert chosen.score == max(score for score, _ in own)
    assert rejected.score == min(score for score, _ in initial)
    assert chosen.score - rejected.score >= max(margin, 1e-9)
