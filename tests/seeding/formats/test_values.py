"""Values as they come out of tables and texts."""

from typing import Any

import pytest

from selfreward.seeding.formats import values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["a", null]', ["a", None]),
        ("['a', None]", ["a", None]),
        ("{'a': [1]}", {"a": [1]}),
        ("[a, b]", "[a, b]"),
        ("[" * 100_000, "[" * 100_000),
        ("plain", "plain"),
    ],
)
def test_lists_that_stand_as_text(text: str, value: Any) -> None:
    assert values.listed(text) == value


def test_a_very_long_text_is_not_read_as_python_writes_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser would take a kilobyte for each of its entries, and the text is most likely none."""
    monkeypatch.setattr(values, "_ENTRIES", 3)
    assert values.listed("['a', 1, 2, 3]") == ["a", 1, 2, 3]
    assert values.listed("['a', 1, 2, 3, 4]") == "['a', 1, 2, 3, 4]"
    assert values.listed('["a", 1, 2, 3, 4]') == ["a", 1, 2, 3, 4]
