"""What differs between two texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.viewer.word_difference import Part, word_difference


def test_only_the_words_that_differ_are_marked() -> None:
    assert word_difference("A red fruit, sweet.", "A green fruit,  sweet.\n") == (
        [Part("A ", False), Part("red ", True), Part("fruit, sweet.", False)],
        [Part("A ", False), Part("green ", True), Part("fruit,  sweet.\n", False)],
    )


@pytest.mark.parametrize(("left", "right"), [("", ""), ("", "all"), ("same", "same")])
def test_ends(left: str, right: str) -> None:
    found = word_difference(left, right)
    assert found == ([Part(left, left != right)] * bool(left), [Part(right, left != right)] * bool(right))


@given(st.text(alphabet="ab \n", max_size=40), st.text(alphabet="ab \n", max_size=40))
def test_parts_join_to_the_text(left: str, right: str) -> None:
    found = word_difference(left, right)
    assert found is not None
    assert tuple("".join(part.text for part in side) for side in found) == (left, right)


def test_very_long_texts_are_not_compared() -> None:
    assert word_difference("a " * 5001, "a") is None
