"""The reference is chosen, whatever anybody thinks of it."""

from collections import Counter
from typing import Any

import pytest
from scored_responses import scored

from selfreward.pair_rules.spin import spin
from selfreward.records import Response


def own(index: int, text: str, **changes: Any) -> Response:
    return scored(index, 0.0, text).response.model_copy(update=changes)


def test_every_different_response_is_rejected_once() -> None:
    found, unusable = spin("the answer", [own(2, "b"), own(0, "a"), own(1, "a "), own(3, " the answer")])
    assert not isinstance(found, str)
    assert [one.index for one in found] == [0, 2]
    assert not unusable


@pytest.mark.parametrize(
    ("reference", "responses", "reason"),
    [
        (None, [own(0, "a")], "no_reference"),
        ("a", [], "none_usable"),
        ("a", [own(0, "b", finish_reason="length")], "none_usable"),
        ("a", [own(0, " a\n"), own(1, "a")], "identical"),
    ],
)
def test_why_there_is_no_pair(reference: str | None, responses: list[Response], reason: str) -> None:
    assert spin(reference, responses)[0] == reason


def test_what_is_never_trained_on_is_counted() -> None:
    bad = [own(1, "b", finish_reason="length"), own(2, " "), own(3, "c", special_tokens=True)]
    found, unusable = spin("a", [own(0, "x"), *bad])
    assert [one.index for one in found] == [0]
    assert unusable == Counter(truncated=1, empty=1, special_tokens=1)
