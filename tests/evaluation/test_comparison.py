"""Two models against each other: figures by hand, the mirror, and what may be concluded."""

from typing import Any

import pytest
from contests import unlike, verdicts, written
from hypothesis import given
from hypothesis import strategies as st

from selfreward.evaluation.comparison import LEAST_DECIDED, Comparison, answer, comparison
from selfreward.evaluation.contests import Contest, contests

Chances = tuple[float | None, float | None]


def compare(pairs: list[Contest], chances: list[Chances], **changes: Any) -> Comparison:
    judgments = [v for pair, both in zip(pairs, chances, strict=True) for v in verdicts(pair, *both)]
    about = {"models": ("one", "two"), "judge": "other", "method": "expected", "rubric": "pairwise@0"}
    return comparison(pairs, judgments, **{**about, "left_out": {}, "seed": 0, **changes})


def test_by_hand() -> None:
    # win by the longer, loss by the longer, a flip, an even order, unreadable, win by the shorter
    pairs = unlike([(1, 4), (5, 2), (2, 3), (3, 1), (1, 2), (4, 2)])
    found = compare(pairs, [(0.9, 0.7), (0.2, 0.3), (0.8, 0.1), (0.5, 0.7), (0.9, None), (0.6, 0.6)])
    assert (found.prompts, found.pairs, found.identical, found.decided) == (6, 6, 0, 3)
    assert (found.wins, found.ties, found.losses, found.unreadable) == (2, 2, 1, 1)
    assert (found.share.value, found.share.n) == (0.6, 5)
    assert found.chance.value == pytest.approx((0.8 + 0.25 + 0.45 + 0.6 + 0.6) / 5)
    assert (found.tie_share.value, found.swap_flip_share.value, found.swap_flip_share.n) == (0.4, 0.2, 5)
    assert found.unreadable_share.value == pytest.approx(1 / 6, abs=1e-4)
    # Of the five that were read the second is longer in two; of the three that were won the longer won two.
    assert (found.length_only.value, found.longer_won.value) == (0.4, pytest.approx(2 / 3, abs=1e-4))
    assert (found.first.tokens, found.second.tokens) == (2.7, 2.3)
    assert found.is_judged_by is None


def test_samples_of_one_prompt_stand_together() -> None:
    (pair,) = unlike([(1, 2)])
    more = [
        Contest(*(r.model_copy(update={"id": f"{r.id}-{k}", "index": k}) for r in (pair.first, pair.second)))
        for k in range(3)
    ]
    found = compare(more, [(0.9, 0.9), (0.9, 0.9), (0.1, 0.1)])
    assert (found.prompts, found.pairs, found.share.n, found.decided) == (1, 3, 3, 1)
    assert (found.share.value, found.share.low) == (pytest.approx(2 / 3, abs=1e-4), None)


def test_the_same_answers_are_all_ties() -> None:
    texts = dict.fromkeys("abcdefgh", "So.")
    found = comparison(
        contests(written("one", **texts), written("two", **texts)),
        [],
        models=("one", "two"),
        judge="one",
        method="expected",
        rubric="pairwise@0",
        left_out={"duplicate": 1},
        seed=0,
    )
    assert (found.ties, found.identical, found.share.value, found.share.low, found.share.high) == (8, 8, 0.5, 0.5, 0.5)
    assert (found.swap_flip_share.value, found.length_only.value, found.longer_won.value) == (None, 0.5, None)
    assert (found.conclusion, found.is_judged_by, found.left_out) == ("no_difference", "first", {"duplicate": 1})
    assert answer(found).startswith("no difference between two and one that these 8 prompts can show")


@pytest.mark.parametrize(
    ("wins", "losses", "conclusion"),
    [
        (20, 2, "better"),
        (2, 20, "worse"),
        (11, 9, "no_difference"),
        (LEAST_DECIDED, 0, "better"),
        (LEAST_DECIDED - 1, 0, "no_difference"),
        (1, 0, "no_difference"),
        (0, 0, "no_difference"),
    ],
)
def test_what_is_concluded(wins: int, losses: int, conclusion: str) -> None:
    pairs = unlike([(1, 2)] * (wins + losses))
    found = compare(pairs, [(0.9, 0.8)] * wins + [(0.1, 0.2)] * losses)
    assert found.conclusion == conclusion
    said = {"better": "two is better than one", "worse": "two is worse than one", "no_difference": "no difference"}
    assert answer(found).startswith(said[conclusion])


_CHANCE = st.none() | st.floats(0, 1)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), _CHANCE, _CHANCE), min_size=1, max_size=12))
def test_swapped_models_mirror_the_result(rounds: list[tuple[int, int, float | None, float | None]]) -> None:
    pairs, chances = unlike([r[:2] for r in rounds]), [r[2:] for r in rounds]
    judgments = [v for pair, both in zip(pairs, chances, strict=True) for v in verdicts(pair, *both)]
    about: dict[str, Any] = {"judge": "j", "method": "expected", "rubric": "r", "left_out": {}, "seed": 3}
    found = comparison(pairs, judgments, models=("one", "two"), **about)
    turned = comparison([Contest(p.second, p.first) for p in pairs], judgments, models=("two", "one"), **about)
    assert (found.wins, found.ties, found.losses) == (turned.losses, turned.ties, turned.wins)
    for name in ("share", "chance", "length_only"):
        one, other = getattr(found, name), getattr(turned, name)
        assert (one.value is None) == (other.value is None)
        if one.value is not None:
            assert one.value == pytest.approx(1 - other.value, abs=2e-4)
        if one.low is not None:
            assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), abs=2e-4)
    for name in ("tie_share", "swap_flip_share", "unreadable_share", "longer_won", "decided", "first"):
        assert getattr(found, name) == getattr(turned, "second" if name == "first" else name)
    assert {found.conclusion, turned.conclusion} in ({"no_difference"}, {"better", "worse"})


@given(st.permutations(range(6)))
def test_order_moves_nothing(order: list[int]) -> None:
    pairs = unlike([(1, 4), (5, 2), (2, 3), (3, 1), (1, 2), (4, 2)])
    chances: list[Chances] = [(0.9, 0.7), (0.2, 0.3), (0.8, 0.1), (0.5, 0.7), (0.9, None), (0.6, 0.6)]
    assert compare([pairs[i] for i in order], [chances[i] for i in order]) == compare(pairs, chances)
