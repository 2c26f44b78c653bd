"""Which texts have been seen, with few and with many of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.seeding import seen as module
from selfreward.seeding.seen import Seen, short_hash


@pytest.mark.parametrize("recent", [1, 3, 1 << 18])
def test_the_first_line_of_a_text_is_known(recent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECENT", recent)
    seen = Seen()
    texts = [f"text {i * 7 % 50}" for i in range(200)]
    for line, text in enumerate(texts, 1):
        first = texts.index(text) + 1
        assert seen.first(text, line) == (None if first == line else first)


@given(st.text(st.characters()))
def test_any_text_has_a_hash(text: str) -> None:
    assert 0 <= short_hash(text) < 1 << 64
    assert short_hash(text) == short_hash(text)
