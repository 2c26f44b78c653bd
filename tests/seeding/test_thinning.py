"""Thinning out the most frequent score, and the draws behind it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.errors import SeedError
from selfreward.records import Message
from selfreward.seeding.draws import draw, is_held_out
from selfreward.seeding.thinning import read_thin, thinned_out


def items(**counts: int) -> dict[str, float]:
    return {f"{score}-{i}": float(score[1:]) for score, count in counts.items() for i in range(count)}


@pytest.mark.parametrize(("text", "meant"), [("none", (False, None)), ("second", (True, None)), ("0.4", (True, 0.4))])
def test_what_thin_says(text: str, meant: tuple[bool, float | None]) -> None:
    assert read_thin(text) == meant


@pytest.mark.parametrize("text", ["", "most", "0", "1", "-1", "nan", "inf", "2"])
def test_what_thin_cannot_say(text: str) -> None:
    with pytest.raises(SeedError, match=f'--thin {text}: expected "second", "none", or a share'):
        read_thin(text)


def test_down_to_the_second_most_frequent() -> None:
    scores = items(s4=50, s3=20, s1=5)
    gone = thinned_out(scores, None, seed=0)
    assert len(gone) == 30
    assert {scores[one] for one in gone} == {4.0}


def test_down_to_a_share() -> None:
    scores = items(s4=50, s3=20, s1=10)
    left = Counter(score for one, score in scores.items() if one not in thinned_out(scores, 0.4, seed=0))
    assert left == {4.0: 20, 3.0: 20, 1.0: 10}
    assert thinned_out(scores, 0.9, seed=0) == set()


@pytest.mark.parametrize("scores", [{}, items(s4=9), items(s4=5, s3=5)])
def test_without_one_most_frequent_score_nothing_goes(scores: dict[str, float]) -> None:
    assert thinned_out(scores, None, seed=0) == set() == thinned_out(scores, 0.1, seed=0)


def test_who_goes_hangs_on_the_seed_and_the_item_alone() -> None:
    scores = items(s4=50, s3=20)
    gone = thinned_out(scores, None, seed=0)
    assert gone == thinned_out(dict(reversed(scores.items())), None, seed=0) != thinned_out(scores, None, seed=1)
    assert thinned_out(scores | items(s3=25), None, seed=0) < gone


@given(st.dictionaries(st.text(max_size=4), st.integers(0, 5).map(float)), st.sampled_from([None, 0.2, 0.5]))
def test_only_the_most_frequent_score_goes_and_never_all_of_it(scores: dict[str, float], thin: float | None) -> None:
    gone = thinned_out(scores, thin, seed=3)
    assert len({scores[one] for one in gone}) <= 1
    assert set(scores.values()) == {score for one, score in scores.items() if one not in gone}


def prompt(text: str, system: str | None = None) -> tuple[Message, ...]:
    first = (Message(role="system", content=system),) if system else ()
    return (*first, Message(role="user", content=text))


def test_a_prompt_is_held_out_by_its_words() -> None:
    prompts = [prompt(f"Question {i}?") for i in range(2000)]
    share = [p for p in prompts if is_held_out(p, 0.1, 0)]
    assert 150 < len(share) < 250
    assert set(share) <= {p for p in prompts if is_held_out(p, 0.2, 0)}
    assert share != [p for p in prompts if is_held_out(p, 0.1, 1)]
    assert not any(is_held_out(p, 0.0, 0) for p in prompts)
    for p in prompts[:200]:
        assert is_held_out(p, 0.1, 0) == is_held_out(prompt(f"  {p[0].content.upper()} \n"), 0.1, 0)
    encoded = [(prompt(f"Caf\u00e9 {i}?"), prompt(f"Cafe\u0301 {i}?")) for i in range(40)]
    assert all(is_held_out(one, 0.5, 0) == is_held_out(other, 0.5, 0) for one, other in encoded)
    assert {is_held_out(prompt("Why?", f"System {i}."), 0.5, 0) for i in range(20)} == {True, False}


@given(st.integers(), st.text())
def test_a_draw_is_from_0_to_below_1(seed: int, words: str) -> None:
    assert 0 <= draw(seed, words) < 1
    assert draw(seed, words) == draw(seed, words)
