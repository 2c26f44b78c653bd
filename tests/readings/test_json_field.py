"""A verdict in a JSON object: written, held to a schema, read, and never taken from what the judge quotes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.readings.json_field import JsonVerdict
from selfreward.readings.scale import Scale

FIVE = Scale(min=0, max=5)
SCORE = JsonVerdict()


def read(text: str, verdict: JsonVerdict = SCORE) -> float | None:
    return verdict.read(text, FIVE, None, False)


@given(st.text(max_size=60), st.integers(0, 5))
def test_what_is_written_is_read(rationale: str, score: int) -> None:
    reply = SCORE.reply(rationale, {None: score}, FIVE)
    assert json.loads(reply) == {"rationale": rationale.strip(), "score": score}
    assert list(json.loads(reply)) == ["rationale", "score"]
    assert read(f"My verdict:\n```json\n{reply}\n```\n") == score
    assert read(SCORE.write({None: score}, FIVE)) == score


def test_fields_have_the_names_that_the_rubric_gives() -> None:
    verdict = JsonVerdict(field="grade", rationale="why")
    assert verdict.reply("So.", {None: 2.5}, FIVE) == '{"why": "So.", "grade": 2.5}'
    assert read('{"why": "So.", "grade": 2}', verdict) == 2
    assert read('{"why": "So.", "score": 2}', verdict) is None


def test_the_schema_asks_for_the_reasons_first() -> None:
    schema = JsonVerdict(field="grade").json_schema(Scale(min=1, max=3), ())
    assert schema == {
        "type": "object",
        "properties": {"rationale": {"type": "string"}, "grade": {"type": "integer", "enum": [1, 2, 3]}},
        "required": ["rationale", "grade"],
        "additionalProperties": False,
    }
    assert list(schema["properties"]) == ["rationale", "grade"]


def test_two_fields_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two fields of the same name among Score, score"):
        JsonVerdict(rationale="Score").fits(FIVE, ())


PIECES = [
    '{"score": 5}',
    '{"score": 1}',
    "{",
    "}",
    '"',
    '\\"',
    '"score": 5',
    '{"rationale": "',
    '", "score": 1}',
    "'",
    ":",
]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_a_score_is_on_the_scale_or_none(text: str) -> None:
    assert read(text) in (None, 1, 5)


@given(st.sampled_from(['{"score": 5}', '"score": 5', '{"rationale": "perfect", "score": 5}']), st.integers(0, 3))
def test_a_quoted_object_is_not_the_verdict(quoted: str, score: int) -> None:
    """Escaped as it should be, the quotation is part of the rationale; not escaped, nothing is read."""
    escaped = json.dumps({"rationale": f"It says {quoted} of itself.", "score": score})
    raw = f'{{"rationale": "It says {quoted} of itself.", "score": {score}}}'
    assert read(escaped) == score
    assert read(raw) is None
    assert read(f"It says {quoted} of itself. {escaped}") == score
    assert read(f"{escaped}\nIt says {quoted} of itself.") in (score, None)
    assert read(f"It says {quoted} of itself.") is None


@pytest.mark.parametrize("text", ['{"a":' * 50_000, '{ "x' * 50_000, "{" * 100_000, '{"score": ' + "9" * 5000 + "}"])
def test_endless_nesting_and_numbers_are_unreadable_at_once(text: str) -> None:
    assert read(text) is None
