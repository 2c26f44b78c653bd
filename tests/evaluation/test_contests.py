"""One response against one: who meets whom, and who wins."""

import pytest
from contests import unlike, verdicts, written

from selfreward.evaluation.contests import contests, outcome
from selfreward.evaluation.opinion import orders_of


def test_the_same_prompt_and_place_meet() -> None:
    first, second = written("one", a="x", b="x", c="x"), written("two", c="y", a="y", d="y")
    second.append(second[0].model_copy(update={"id": "c-two-1", "index": 1}))
    assert [(pair.first.id, pair.second.id) for pair in contests(first, second)] == [
        ("a-one", "a-two"),
        ("c-one", "c-two"),
    ]


@pytest.mark.parametrize(
    ("chances", "came"),
    [
        ((0.9, 0.6), "win"),
        ((0.4, 0.1), "loss"),
        ((0.9, 0.1), "tie"),
        ((0.2, 0.8), "tie"),
        ((0.5, 0.9), "tie"),
        ((0.5, 0.5), "tie"),
        ((0.4, 0.5), "tie"),
        ((0.5 + 1e-12, 0.9), "tie"),
    ],
)
def test_only_both_orders_win(chances: tuple[float, float], came: str) -> None:
    assert outcome(chances) == came


def test_chances_are_the_seconds_whichever_id_is_lower() -> None:
    (pair,) = unlike([(1, 2)])
    orders = orders_of(verdicts(pair, 0.9, 0.7))
    assert pair.chances(orders) == pytest.approx((0.7, 0.9))
    renamed = type(pair)(pair.first.model_copy(update={"id": "z"}), pair.second)
    assert renamed.chances(orders_of(verdicts(renamed, 0.9, 0.7))) == pytest.approx((0.9, 0.7))


def test_an_unreadable_order_is_no_chance() -> None:
    (pair,) = unlike([(1, 2)])
    assert pair.chances(orders_of(verdicts(pair, 0.9, None))) is None
    assert pair.chances({}) is None


def test_the_same_answer_is_a_tie_without_a_verdict() -> None:
    (pair,) = contests(written("one", a=" Same.\n"), written("two", a="Same."))
    assert pair.identical
    assert pair.chances({}) == (0.5, 0.5)
    assert unlike([(1, 2), (2, 1), (3, 3)])[2].longer == 0.5
