"""Best against worst, where the model before ranks the responses likewise."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_responses import SCORES, all_scored, indices

from selfreward.pair_rules.best_worst import best_worst
from selfreward.pair_rules.consistent import agreement, consistent
from selfreward.pair_rules.scored import Scored


def ranked(now: Sequence[float], before: Sequence[float | None]) -> list[Scored]:
    return [replace(one, before=other) for one, other in zip(all_scored(*now), before, strict=True)]


@pytest.mark.parametrize(
    ("now", "before", "tau"),
    [
        ([1.0, 2.0, 3.0], [0.1, 0.2, 0.3], 1.0),
        ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], -1.0),
        ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], 1 / 3),  # two pairs agree, one does not
        ([1.0, 2.0, 2.0], [1.0, 2.0, 3.0], 2 / 6**0.5),  # tau-b: a tie on one side
        ([1.0, 2.0, 9.0], [1.0, 2.0, None], 1.0),
        ([1.0, 2.0], [None, 1.0], None),
        ([1.0, 2.0], [3.0, 3.0], None),
        ([], [], None),
    ],
)
def test_tau_by_hand(now: list[float], before: list[float | None], tau: float | None) -> None:
    assert agreement(ranked(now, before)) == (None if tau is None else pytest.approx(tau))


@pytest.mark.parametrize(
    ("before", "min_tau", "found"),
    [
        ([1.0, 2.0, 3.0], 1.0, [(2, 0)]),
        ([1.0, 3.0, 2.0], 0.3, [(2, 0)]),
        ([1.0, 3.0, 2.0], 0.5, "inconsistent"),
        ([3.0, 2.0, 1.0], -1.0, [(2, 0)]),
        ([None, None, 1.0], -1.0, "no_earlier_ranking"),
        ([2.0, 2.0, 2.0], -1.0, "no_earlier_ranking"),
    ],
)
def test_by_hand(before: list[float | None], min_tau: float, found: object) -> None:
    assert indices(consistent(ranked([1.0, 2.0, 3.0], before), 0.0, min_tau)) == found


_TAUS = st.sampled_from([-1.0, 0.0, 0.5, 1.0])


@given(st.lists(st.tuples(SCORES, st.none() | SCORES), max_size=6), _TAUS, _TAUS)
def test_it_only_leaves_out_and_more_where_more_is_asked(
    drawn: list[tuple[float, float | None]], one: float, other: float
) -> None:
    found = ranked([now for now, _ in drawn], [before for _, before in drawn])
    low, high = sorted((one, other))
    strict, lenient = consistent(found, 0.0, high), consistent(found, 0.0, low)
    if not isinstance(strict, str):
        assert strict == lenient == best_worst(found, 0.0)
    if isinstance(best_worst(found, 0.0), str):
        assert lenient == best_worst(found, 0.0)
