"""A verdict that is a letter: its score, and what is no verdict. Most cases are in corpus.yaml."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from selfreward.readings.letter import LetterVerdict
from selfreward.readings.scale import Scale

ONE = Scale(min=0, max=1)
LETTERS = {"A": 1.0, "tie": 0.5, "B": 0.0}
LABELLED = LetterVerdict(line="Verdict: {{ letter }}", letters=LETTERS)
BRACKETS = LetterVerdict(line="[[{{ letter }}]]", letters=LETTERS)


@pytest.mark.parametrize("verdict", [LABELLED, BRACKETS])
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_what_is_written_is_read(verdict: LetterVerdict, score: float) -> None:
    assert verdict.read(verdict.reply(" Because. ", {None: score}, ONE), ONE, None, False) == score
    assert verdict.json_schema(ONE, ()) is None


def test_the_nearest_letter_is_written() -> None:
    assert LABELLED.write({None: 0.9}, ONE) == "Verdict: A"
    assert BRACKETS.write({None: 0.4}, ONE) == "[[tie]]"


def test_a_letter_that_may_go_on_is_unreadable() -> None:
    assert LABELLED.read("Verdict: A", ONE, None, True) is None


@given(
    st.lists(st.sampled_from(["Verdict", ":", " ", "\n", "A", "B", "tie", "or", "[[", "]]", "is", "a"])).map("".join)
)
def test_a_score_is_one_of_the_letters_or_none(text: str) -> None:
    for verdict in (LABELLED, BRACKETS):
        assert verdict.read(text, ONE, None, False) in (None, 0, 0.5, 1)


@pytest.mark.parametrize(
    ("letters", "aspects", "message"),
    [
        ({"A": 1, "B": 2}, (), "letters must give scores from 0 to 1, both among them"),
        ({"A": 1, "B": 0.5}, (), "both among them"),
        ({"A": 1, "a": 0}, (), "differ by their case only"),
        ({"A": 1, "B": 0}, ("honest",), "aspects need a line or JSON"),
    ],
)
def test_letters_that_cannot_be_scores_are_refused(letters: Any, aspects: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LetterVerdict(line="Verdict: {{ letter }}", letters=letters).fits(ONE, aspects)


@pytest.mark.parametrize("line", ["Verdict", "Verdict: {{ score }}"])
def test_the_line_must_hold_the_letter(line: str) -> None:
    with pytest.raises(ValidationError, match="expected letter"):
        LetterVerdict(line=line, letters=LETTERS)
