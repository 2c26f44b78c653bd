"""Who wins by comparisons in both orders."""

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_judgments import agreed, comparison, flipped, judgment

from selfreward.meta_judge.ranking import Placed, best_and_worst, winners
from selfreward.records import Judgment

THREE = [judgment(name, score, sample=k) for k, (name, score) in enumerate((("a", 1), ("b", 3), ("c", 5)))]


def ids(found: tuple[Placed, Placed] | str) -> tuple[str, str] | str:
    return found if isinstance(found, str) else (found[0].judgment.id, found[1].judgment.id)


def test_only_agreeing_orders_have_a_winner() -> None:
    even = [comparison("c", "d", 0.5), comparison("d", "c", 0.0)]
    half = [comparison("e", "f", 1.0), comparison("f", "e", None)]
    found = winners([*agreed("b", "a"), *flipped("a", "c"), *even, *half])
    assert found == {("a", "b"): "b", ("a", "c"): None, ("c", "d"): None}


@pytest.mark.parametrize(
    ("comparisons", "found"),
    [
        ([*agreed("b", "a"), *agreed("b", "c"), *agreed("a", "c")], ("b", "c")),
        ([*agreed("b", "a"), *flipped("b", "c"), *flipped("a", "c")], ("b", "a")),
        ([*flipped("a", "b"), *flipped("b", "c")], "no_agreement"),
        ([comparison("a", "b", None), comparison("b", "a", 1.0)], "unreadable"),
        ([*agreed("a", "b"), *agreed("b", "c"), *agreed("c", "a")], "tie"),
    ],
)
def test_best_and_worst(comparisons: list[Judgment], found: tuple[str, str] | str) -> None:
    assert ids(best_and_worst(THREE, comparisons)) == found


def test_of_equals_the_shortest_is_the_best_and_the_longest_the_worst() -> None:
    a, b, c = (j.model_copy(update={"raw": "x" * n}) for j, n in zip(THREE, (30, 20, 10), strict=True))
    both_beat_a = [*agreed("b", "a"), *agreed("c", "a"), *flipped("b", "c")]
    assert ids(best_and_worst([a, b, c], both_beat_a)) == ("c", "a")
    both_lose_to_a = [*agreed("a", "b"), *agreed("a", "c"), *flipped("b", "c")]
    assert ids(best_and_worst([a, b, c], both_lose_to_a)) == ("a", "b")


@given(st.integers(2, 7), st.randoms(), st.data())
def test_any_outcome_gives_an_order_or_a_reason(count: int, drawn: random.Random, data: st.DataObject) -> None:
    judgments = [judgment(f"j{i}", i % 6, sample=i) for i in range(count)]
    comparisons: list[Judgment] = []
    for one, other in combinations([j.id for j in judgments], 2):
        comparisons += data.draw(st.sampled_from([agreed(one, other), agreed(other, one), flipped(one, other)]))
    found = best_and_worst(judgments, comparisons)
    if isinstance(found, str):
        assert found in {"no_agreement", "tie"}
    else:
        best, worst = found
        assert best.strength > worst.strength
        assert best.judgment.id in winners(comparisons).values()
    drawn.shuffle(judgments)
    drawn.shuffle(comparisons)
    assert best_and_worst(judgments, comparisons) == found
