"""What every import does, whatever the format: repetitions, scores, languages, counts; odd values are no traceback."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seed_imports import Import, Row, source_of

from selfreward.eft.building import Choices, split
from selfreward.errors import SeedError
from selfreward.readings.scale import Scale
from selfreward.records import Message, Ranked
from selfreward.seeding.formats import FORMATS
from selfreward.seeding.formats.base import Format, LeftOut, Numbered, Target
from selfreward.seeding.importing import Conversion, Options
from selfreward.seeding.own_format import read_eft, read_ift
from selfreward.seeding.ranked import read_ranked
from selfreward.seeding.recognising import recognise
from selfreward.seeding.rescale import Rescale
from selfreward.seeding.sources.base import Source

FIVE = Scale(min=0, max=5)


def test_repetitions_are_left_out_and_named(import_rows: Import) -> None:
    rows = [{"instruction": i, "output": o} for i, o in (("u", "a"), ("u", "b"), ("u", "a"), ("u", "a"))]
    done = import_rows(rows, "ift")
    assert [row["response"] for row in done.rows] == ["a", "b"]
    assert done.left_out == [LeftOut(i, "duplicate", "the same as what line 1 gives") for i in (3, 4)]
    assert (done.tally.rows, done.tally.made, done.tally.left_out["duplicate"]) == (4, 2, 2)
    assert done.tally.first["duplicate"].line == 3


def test_a_response_is_ranked_once(import_rows: Import) -> None:
    rows = [{"prompt": "p", "response": r, "quality": q} for r, q in (("a", 1), ("b", 2), ("a", 3))]
    done = import_rows(rows, "ranked")
    assert [(row["response"], row["quality"]) for row in done.rows] == [("a", 1), ("b", 2)]
    (item,) = done.left_out
    assert (item.line, item.reason) == (3, "duplicate")
    assert "the same response from line 1, which counts" in item.detail


def test_an_id_stands_for_one_prompt_whatever_the_format(import_rows: Import, tmp_path: Path) -> None:
    rows = [
        {"prompt_id": "same", "instruction": prompt, "generations": [f"a{i}", f"b{i}"], "ratings": [1, 2]}
        for i, prompt in enumerate(("p", "other", "p", "other"))
    ]
    done = import_rows(rows, "ranked")
    assert [row["response"] for row in done.rows] == ["a0", "b0", "a2", "b2"]
    assert done.reasons == [(line, "other_prompt") for line in (2, 2, 4, 4)]
    path = tmp_path / "ranked.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in done.rows))
    assert len(read_ranked(path)) == 4


def test_scores_of_repetitions_are_not_counted(import_rows: Import) -> None:
    row = {"instruction": "u", "response": "a", "rationale": "r", "score": 3}
    done = import_rows([row, row, {**row, "score": 4}], "eft")
    assert done.tally.made == 2
    assert dict(done.tally.scores) == dict(done.tally.found_scores) == {3: 1, 4: 1}


def test_the_same_words_in_other_turns_are_no_repetition(import_rows: Import) -> None:
    def row(*turns: str) -> dict[str, Any]:
        return {"messages": [{"role": r, "content": c} for r, c in (turn.split(":") for turn in turns)]}

    rows = [
        row("system:x", "user:y", "assistant:z"),
        row("user:x", "assistant:y", "user:z", "assistant:w"),
        row("user:x", "assistant:y"),
    ]
    assert import_rows([*rows, rows[0]], "ift").reasons == [(4, "duplicate")]


def test_bad_rows_of_the_source_are_named_once_and_counted() -> None:
    rows = [
        Numbered(1, {"prompt": "p", "response": "a", "rank": 0}),
        LeftOut(2, "not_json", "nonsense"),
        Numbered(3, {"prompt": "p", "response": "b", "rank": 1}),
    ]
    left_out: list[LeftOut] = []
    (form,) = (form for form in FORMATS if form.name == "ranked")
    conversion = Conversion(Source("rows", "a list", lambda: iter(rows)), form, Options("ift"), left_out.append)
    assert [row["response"] for row in conversion] == ["a"]
    assert [(item.line, item.reason) for item in left_out] == [(2, "not_json"), (3, "not_the_best")]
    assert conversion.tally.rows == 3


def test_rows_come_out_as_they_are_read() -> None:
    def read() -> Iterator[Numbered]:
        yield Numbered(1, {"instruction": "u", "output": "a"})
        raise AssertionError("read on before the first row was taken")

    (form,) = (form for form in FORMATS if form.name == "alpaca")
    rows = iter(Conversion(Source("rows", "a list", read), form, Options("ift"), lambda _: None))
    assert next(rows) == {"instruction": "u", "response": "a"}


def test_languages(import_rows: Import) -> None:
    rows = [
        {"instruction": str(i), "output": "a", "language": lang}
        for i, lang in enumerate(("en", "de", None, "en-GB", 3))
    ]
    done = import_rows(rows, "ift", languages=("en",))
    assert [row["instruction"] for row in done.rows] == ["0", "3"]
    assert done.reasons == [(2, "other_language"), (3, "other_language"), (5, "other_language")]
    assert done.left_out[0].detail == "the language is 'de'"


def test_a_score_off_the_scale_stops_the_import(import_rows: Import) -> None:
    row = {"instruction": "u", "response": "a", "rationale": "r", "score": 3}
    for score in (6, 3.5, -1):
        with pytest.raises(
            SeedError, match=rf"rows:2: the score {score:g} is not on .* 0 to 5; .* --scale-from MIN MAX"
        ):
            import_rows([row, {**row, "score": score}], "eft")


def test_a_named_scale_is_mapped(import_rows: Import) -> None:
    rows = [{"instruction": "u", "response": str(s), "rationale": "r", "score": s} for s in (1, 2, 3, 4.5, 5, 6, 0)]
    done = import_rows(rows, "eft", scale_from=(1, 5))
    assert [row["score"] for row in done.rows] == [0, 1, 3, 4, 5]
    assert done.reasons == [(6, "off_scale"), (7, "off_scale")]
    assert dict(done.tally.scores) == {0: 1, 1: 1, 3: 1, 4: 1, 5: 1}
    assert max(done.tally.found_scores) == 5


# --- odd values, in every format -----------------------------------------------------------------------------------

_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(
        ["[", "{", "[{'role': 'user'}]", '[{"role": "user", "content": "x"}]', "\ud83d", "[1, 2]", "x" * 100_000]
    ),
    st.lists(st.one_of(st.none(), st.text(), st.lists(st.text()))),
    st.lists(st.dictionaries(st.sampled_from(["role", "content", "from", "value", "response", "output"]), st.text())),
    st.dictionaries(st.sampled_from(["role", "content", "text", "message_id", "replies"]), st.lists(st.text())),
)
_COLUMNS = sorted({name for form in FORMATS for name in form.columns})


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(FORMATS),
    st.lists(st.dictionaries(st.sampled_from(_COLUMNS), _ODD, min_size=2), min_size=1, max_size=4),
)
def test_odd_values_are_read_or_named(form: Format, rows: list[dict[str, Any]]) -> None:
    _every_row_is_accounted_for(form, rows)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_odd_values_in_the_right_columns_are_read_or_named(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(FORMATS))
    rows = [{name: data.draw(_ODD) for name in sorted(form.columns)} for _ in range(2)]
    _every_row_is_accounted_for(form, rows)


def _every_row_is_accounted_for(form: Format, rows: list[dict[str, Any]]) -> None:
    for other in FORMATS:
        assert other.fits(rows[0]) in (True, False)
    for target in form.converters:
        left_out: list[LeftOut] = []
        scale = Rescale(to=FIVE, source=(0, 5)) if target == "eft" else None
        conversion = Conversion(source_of(rows), form, Options(target, scale=scale), left_out.append)
        made = list(conversion)
        assert conversion.tally.rows == len(rows)
        assert len(made) + len(left_out) >= 1
        _must_be_accepted(made, target)


def _must_be_accepted(rows: list[dict[str, Any]], target: Target) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "rows.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        if rows:
            read = {"ift": read_ift, "ranked": read_ranked, "eft": lambda path: read_eft(path, FIVE)}[target]
            assert len(read(path)) == len(rows)


def test_what_build_eft_holds_out_is_left_out() -> None:
    """The other side of one draw: no prompt is in both, whatever its case and spaces, and in a later turn neither."""
    prompts = [f"Question {i}?" for i in range(60)]

    def asked(prompt: str) -> tuple[Message, ...]:
        return (Message(role="user", content=prompt),)

    ranked = [
        Ranked(id=f"{p}{k}", prompt_id=p, messages=asked(p), response=f"{k}", rank=k, quality=None, line=1)
        for p in prompts
        for k in range(2)
    ]
    held_out = {row.prompt for row in split(ranked, Choices(heldout=0.3, seed=5)).heldout}
    assert 5 < len(held_out) < 40

    def imported(rows: list[Row]) -> tuple[list[Row], list[LeftOut]]:
        left: list[LeftOut] = []
        source = source_of(rows)
        conversion = Conversion(source, recognise(source, "ift").form, Options("ift", heldout=0.3, seed=5), left.append)
        return list(conversion), left

    made, left = imported([{"instruction": f" {p.upper()} ", "response": "answer"} for p in prompts])
    assert {row["instruction"].strip().capitalize() for row in made} == set(prompts) - held_out
    assert {item.reason for item in left} == {"held_out"}
    turns = [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "So."}]
    answer = {"role": "assistant", "content": "answer"}
    made, _ = imported([{"messages": [{"role": "user", "content": p}, answer, *turns]} for p in prompts])
    assert {row["messages"][0]["content"] for row in made} <= set(prompts) - held_out
    assert made
