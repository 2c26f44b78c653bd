"""Scores come onto the rubric's scale as they are, or by a scale that was named; never silently."""

from collections import Counter

import pytest

from selfreward.errors import SeedError
from selfreward.readings.scale import Scale
from selfreward.seeding.formats import FORMATS
from selfreward.seeding.formats.base import Reject
from selfreward.seeding.rescale import Rescale, in_words, rescale

FIVE = Scale(min=0, max=5)
BY_NAME = {form.name: form for form in FORMATS}


@pytest.mark.parametrize(
    ("to", "source", "expected"),
    [
        (FIVE, (1, 5), {1: 0, 2: 1, 3: 3, 4: 4, 5: 5}),
        (FIVE, (1, 10), {1: 0, 5.5: 3, 10: 5}),
        (FIVE, (0, 1), {0: 0, 0.09: 0, 0.1: 1, 0.5: 3, 0.7: 4, 1: 5}),
        (FIVE, (0, 5), {0: 0, 2.5: 3, 4.4: 4}),
        (FIVE, (-1, 1), {-1: 0, 0: 3, 1: 5}),
        (Scale(min=1, max=10), (0, 5), {0: 1, 5: 10}),
    ],
)
def test_linear_and_rounded(to: Scale, source: tuple[float, float], expected: dict[float, int]) -> None:
    scale = Rescale(to=to, source=source)
    assert {score: scale.score(score, "x:1") for score in expected} == expected
    for off in (source[0] - 0.1, source[1] + 0.1):
        with pytest.raises(Reject, match="is not between"):
            scale.score(off, "x:1")


def test_as_they_are() -> None:
    scale = rescale(BY_NAME["judged"], FIVE, None)
    assert [scale.score(s, "x:1") for s in (0, 3.0, 5)] == [0, 3, 5]
    with pytest.raises(SeedError, match=r"^x:1: the score 9 is not on the rubric's scale"):
        scale.score(9, "x:1")


def test_a_known_scale_must_be_said() -> None:
    with pytest.raises(SeedError, match="--scale-from 1 5 maps them"):
        rescale(BY_NAME["ultrafeedback"], FIVE, None)
    assert rescale(BY_NAME["ultrafeedback"], Scale(min=1, max=5), None).source is None
    assert rescale(BY_NAME["ultrafeedback"], FIVE, (1, 5)).source == (1, 5)


@pytest.mark.parametrize("source", [(5, 1), (1, 1), (float("nan"), 5), (0, float("inf"))])
def test_no_scale(source: tuple[float, float]) -> None:
    with pytest.raises(SeedError, match="expected two numbers, the lower one first"):
        rescale(BY_NAME["judged"], FIVE, source)


def test_what_was_done_is_said() -> None:
    found = Counter({1.0: 2, 4.5: 1})
    assert in_words(found, Rescale(to=FIVE)) == (
        "scores in the source: 1 to 4.5, taken as they are for scores from 0 to 5 (for another scale there is "
        "--scale-from MIN MAX)"
    )
    assert in_words(found, Rescale(to=FIVE, source=(1, 5))).endswith("mapped from 1 to 5 onto 0 to 5 and rounded")
