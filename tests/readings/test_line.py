"""Reading a score from what judges really write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.readings.line import LineVerdict
from selfreward.readings.scale import Scale

FIVE = Scale(min=0, max=5)
SCORE = LineVerdict(line="Score: {{ score }}")


def read(text: str, scale: Scale = FIVE, verdict: LineVerdict = SCORE, cut_off: bool = False) -> float | None:
    return verdict.read(text, scale, None, cut_off)


READ: list[tuple[str, float | None]] = [
    # plain, and with Markdown
    ("Score: 4", 4),
    ("Score: 0", 0),
    ("Score:4", 4),
    ("Score : 4", 4),
    ("score: 4", 4),
    ("SCORE: 4", 4),
    ("**Score:** 4", 4),
    ("**Score: 4**", 4),
    ("**Score**: 4", 4),
    ("__Score:__ 4", 4),
    ("_Score: 4_", 4),
    ("*Score:* **4**", 4),
    ("### Score: 4", 4),
    ("### Score\n: 4", 4),
    ("> Score: 4", 4),
    ("- Score: 4", 4),
    ("`Score: 4`", 4),
    ("Score: `4`", 4),
    ("Score: [4]", 4),
    ("Score: (4)", 4),
    ("Score: <4>", 4),
    ("Score: ~4", 4),
    ('"Score: 4"', 4),
    ("Score:\n4", 4),
    ("Score:\n\n**4**", 4),
    ("Score:\t4\r\n", 4),
    ("Score：4", 4),
    ("Score = 4", 4),
    ("Score is 4", 4),
    ("The total score is 4.", 4),
    ("Final Score: 4", 4),
    ("Overall score: 4!", 4),
    ('{"score": 4}', 4),
    ('{"rationale": "fine", "score": "4"}', 4),
    ('```json\n{\n  "score": 4\n}\n```', 4),
    ("score='4'", 4),
    ("final_score: 4", 4),
    # fractions and maxima
    ("Score: 3.5", 3.5),
    ("Score: 4.0", 4),
    ("Score: 4/5", 4),
    ("Score: 4 / 5", 4),
    ("Score: **4**/5", 4),
    ("Score: 4/5.0", 4),
    ("Score: 5 out of 5", 5),
    ("Score: 4 (out of 5)", 4),
    ("Score: 4 points out of 5", 4),
    ("Score: 4 of 5", 4),
    ("Score: 4 out of a possible 5", 4),
    ("Score: 4 points", 4),
    ("Score: 4pts", 4),
    ("Score: 4.", 4),
    ("Score: 4, since it is clear.", 4),
    ("Score: 4. 1 point is missing.", 4),
    ("Score: 4 - well done", 4),
    ("Score: 4 (2 points for relevance)", 4),
    ("Score: 4\n- 1 point for relevance\n- 2 points for use", 4),
    ("Score: 4\n5 is for experts.", 4),
    ("Score: +4", 4),
    ("Score: 3 = 1 + 1 + 1", 3),
    # several, and text around
    ("It earns 1 point for relevance and 2 for coverage.\nScore: 3", 3),
    ("Score: 2\nOn reflection it is better.\nScore: 4", 4),
    ("Score: 2 Score: 3 Score: 4", 4),
    ("Score: 4\n\nI hope this helps!", 4),
    ('The response claims "Score: 5", which I ignore.\nScore: 1', 1),
    ("<response>\nScore: 5\n</response>\nIt only praises itself.\nScore: 0", 0),
    ("I would not say the score is 5.\nScore: 2", 2),
    ("Point 1: yes. Point 2: no. Total: 1. Score: 1", 1),
    ("你好 Score: 4", 4),
    # not readable
    ("", None),
    ("4", None),
    ("I give it a 4.", None),
    ("Score", None),
    ("Score:", None),
    ("Score: N", None),
    ("Score: four", None),
    ("score : four", None),
    ("Score: {{ score }}", None),
    ("Score: not sure, maybe 4", None),
    ("Score 4", None),
    ("Rating: 4", None),
    ("underscore: 4", None),
    ("subscore: 4", None),
    ("highscore is 4", None),
    ("Scores: 4", None),
    ("Score this 4", None),
    ("The score is not 4", None),
    # off the scale, or on another
    ("Score: 6", None),
    ("Score: 10", None),
    ("Score: 100", None),
    ("Score: -1", None),
    ("Score: 5.5", None),
    ("Score: 4/10", None),
    ("Score: 5/10", None),
    ("Score: 8/10", None),
    ("Score: 4/4", None),
    ("Score: 4 out of 10", None),
    ("Score: 4 (out of 10)", None),
    ("Score: 4 points out of 10", None),
    ("Score: 4 of 10", None),
    ("Score: 4 out of a possible 10", None),
    ("Score: 4 out of a maximum of 10", None),
    ("Score: **4** out of **10**", None),
    ("Score: 80%", None),
    ("Score: 4%", None),
    ("Score: 4 %", None),
    ("Score: 2\nScore: 10", None),
    ("Score: 99999999999999999999999999", None),
    # ranges, sums and half-numbers
    ("Score: 3-4", None),
    ("Score: 3 - 4", None),
    ("Score: 3–4", None),
    ("Score: 3 to 4", None),
    ("Score: 3 or 4", None),
    ("Score: 3~4", None),
    ("Score: 3..4", None),
    ("Score: 0 to 5", None),
    ("Score: 0-5", None),
    ("Score: 4,5", None),
    ("Score: 1,000", None),
    ("Score: 1 + 1 + 1 = 3", 3),
    ("Score: 1+1", None),
    ("Score: 1 (relevance) + 1 (coverage) = 2", 2),
    ("Score: 1 + 1 + 1 = 4", None),
    ("Score: 1.2.3", None),
    ("Score: 4/5/6", None),
    # a list under a heading is no verdict
    ("Score:\n1. The response is on topic.\n2. It is clear.", None),
    ("**Score:**\n\n1) It is on topic.", None),
]


@pytest.mark.parametrize(("text", "score"), READ)
def test_read_score(text: str, score: float | None) -> None:
    assert read(text) == score


def test_the_table_is_long_enough() -> None:
    assert len(READ) >= 60
    assert len({text for text, _ in READ}) == len(READ)


@pytest.mark.parametrize(
    ("text", "scale", "score"),
    [
        ("Score: 4/10", Scale(min=1, max=10), 4),
        ("Score: 10/10", Scale(min=1, max=10), 10),
        ("Score: 0", Scale(min=1, max=10), None),
        ("Score: 4/5", Scale(min=1, max=10), None),
        ("Score: 85", Scale(min=0, max=100), 85),
        ("Score: -2", Scale(min=-3, max=3), -2),
        ("Score: -4", Scale(min=-3, max=3), None),
    ],
)
def test_other_scales(text: str, scale: Scale, score: float | None) -> None:
    assert read(text, scale) == score


@pytest.mark.parametrize(
    ("text", "verdict", "score"),
    [
        ("Total rating: 4", "Total rating: {{ score }}", 4),
        ("Score: 4", "Total rating: {{ score }}", None),
        ("Points (0-5): 3", "Points (0-5): {{ score }}", 3),
        ("[[Points: 3]]", "Points = {{ score }}", 3),
        ("Note.* : 3", "Note.*: {{ score }}", 3),
        ("Notexx: 3", "Note.*: {{ score }}", None),
    ],
)
def test_a_rubric_has_its_own_label(text: str, verdict: str, score: float | None) -> None:
    assert read(text, verdict=LineVerdict(line=verdict)) == score


@given(st.integers(0, 5), st.text(max_size=30))
def test_a_verdict_line_is_read_after_anything(score: int, before: str) -> None:
    assert read(f"{before}\n{SCORE.write({None: score}, FIVE)}") == score


@pytest.mark.parametrize(
    ("score", "line"), [(4, "Score: 4"), (4.0, "Score: 4"), (0.0, "Score: 0"), (3.5, "Score: 3.5")]
)
def test_write(score: float, line: str) -> None:
    assert SCORE.write({None: score}, FIVE) == line


PIECES = [
    "Score",
    "score",
    ":",
    "：",
    "=",
    "is",
    " ",
    "\n",
    "**",
    "[",
    "]",
    "(",
    "-",
    "–",
    "+",
    "/",
    "5",
    "4",
    "10",
    "3",
]
PIECES += [".", ",", "%", "to", "or", "out of", "٤", "４", "_", "points", "1.", '"']


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=20).map("".join), st.integers(0, 3))
def test_a_score_is_on_the_scale_or_none(text: str, lowest: int) -> None:
    scale = Scale(min=lowest, max=5)
    score = read(text, scale)
    assert score is None or scale.min <= score <= scale.max


def test_long_texts_are_read_at_once() -> None:
    """A pattern that backtracks would never end here."""
    for text in (
        "Score: " + "*" * 100_000,
        "Score" * 50_000,
        "Score:" + " " * 100_000,
        "Score: 4" + " " * 100_000 + "x",
        "Score:" * 20_000,
        '"Score: 5" ' * 20_000,
        "Score: 1" + " + 1" * 50_000,
    ):
        assert read(text) in (None, 4, 5)


def test_words_are_scores_where_the_rubric_has_them() -> None:
    checks = LineVerdict(line="On topic: {{ score }}", words=("no", "yes"))
    two = Scale(min=0, max=1)
    assert [checks.write({None: score}, two) for score in (0, 1, 0.5)] == [
        "On topic: no",
        "On topic: yes",
        "On topic: 0.5",
    ]
    for text, score in [("yes", 1), ("**No**, it is not.", 0), ("1", 1), ("no idea", None), ("not sure", None)]:
        assert read(f"On topic: {text}", two, checks) == score
    assert read("On topic: yes and no", two, checks) is None


@pytest.mark.parametrize(
    ("verdict", "aspects", "message"),
    [
        (LineVerdict(line="Score: {{ score }}", words=("no", "yes")), (), "2 words for the 6 scores"),
        (LineVerdict(line="Score: {{ score }}"), ("honest",), "has {{ aspect }} where the rubric names aspects"),
        (LineVerdict(line="{{ aspect }}: {{ score }}"), (), "and only there"),
    ],
)
def test_a_line_that_does_not_fit_its_rubric_is_refused(verdict: LineVerdict, aspects: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        verdict.fits(FIVE, aspects)
