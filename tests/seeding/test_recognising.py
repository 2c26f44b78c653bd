"""Which format is taken, and what is said where none fits."""

import json
from pathlib import Path

import pytest
from seed_imports import source_of

from selfreward.errors import SeedError
from selfreward.resources import find
from selfreward.seeding.formats import FORMATS
from selfreward.seeding.formats.base import LeftOut
from selfreward.seeding.recognising import SAMPLE, recognise
from selfreward.seeding.sources.base import Source


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ("instruction response", "own"),
        ("instruction response id", "prompt_completion"),
        ("instruction response rationale score", "own_eft"),
        ("instruction response rationale score id", "judged"),
        ("instruction response score", "ranked"),
        ("instruction output", "alpaca"),
        ("instruction input output text", "alpaca"),
        ("instruction input output score", "alpaca"),
        ("prompt completion", "prompt_completion"),
        ("prompt response", "prompt_completion"),
        ("prompt response rank", "ranked"),
        ("prompt chosen rejected", "preference"),
        ("message_id parent_id text role lang rank", "oasst"),
    ],
)
def test_columns_tell(columns: str, name: str) -> None:
    row = dict.fromkeys(columns.split(), "x")
    found = [form for form in FORMATS if form.fits(row)]
    assert found[0].name == name
    target = next(iter(found[0].converters))
    assert recognise(source_of([row]), target).form.name == name


def test_a_general_format_does_not_win_by_rows_that_lack_a_column() -> None:
    rows = [{"prompt": "p", "response": "r", "rank": 0}, {"prompt": "p", "response": "s"}]
    assert recognise(source_of(rows), "ift").form.name == "ranked"
    assert recognise(source_of([*rows[:1], *rows[1:] * 2]), "ift").form.name == "prompt_completion"


def test_a_named_format_is_taken(tmp_path: Path) -> None:
    row = {"instruction": "u", "input": "", "output": "a", "prompt": "u", "completion": "a"}
    assert recognise(source_of([row]), "ift").form.name == "alpaca"
    assert recognise(source_of([row]), "ift", "prompt_completion").form.name == "prompt_completion"
    with pytest.raises(SeedError, match="--format alpacca: no such format; expected one of own_eft, own, oasst"):
        recognise(source_of([row]), "ift", "alpacca")
    with pytest.raises(
        SeedError, match=r"the first rows do not fit the format sharegpt\n.*\nexpected columns:\n  sharegpt "
    ):
        recognise(source_of([row]), "ift", "sharegpt")


def test_nothing_fits() -> None:
    with pytest.raises(SeedError) as error:
        recognise(source_of([{"prompt": None, "tags": []}, {"prompt": "x", "n": 3, "o": {}}]), "ift")
    lines = str(error.value).splitlines()
    assert lines[:2] == [
        "rows: no format fits the first rows",
        "columns found: prompt (text), tags (a list), n (a number), o (an object)",
    ]
    assert [line.split()[0] for line in lines[3:]] == [form.name for form in FORMATS]


def test_very_many_columns_are_not_all_shown() -> None:
    with pytest.raises(SeedError, match=r"c39 \(a number\) and 10 more"):
        recognise(source_of([{f"c{i}": i for i in range(50)}]), "ift")


def test_no_readable_rows() -> None:
    with pytest.raises(SeedError, match=r"rows: no rows that can be read \(none at all\)"):
        recognise(source_of([]), "ift")
    bad = Source("rows", "a list", lambda: iter([LeftOut(3, "not_json", "nonsense")]))
    with pytest.raises(SeedError, match=r"\(1 bad ones; the first is line 3: nonsense\)"):
        recognise(bad, "ift")


@pytest.mark.parametrize(
    ("columns", "target", "message"),
    [
        ("instruction output", "eft", "alpaca has no scores, so it gives no EFT; it gives --as ift"),
        ("instruction output", "ranked", "alpaca has one response a prompt, .* it gives --as ift"),
        ("prompt chosen rejected", "eft", ".* import it --as ranked, then `selfreward seeds build-eft`"),
        (
            "instruction response rationale score",
            "ift",
            "own_eft has judged responses, .* it gives --as eft or --as ranked",
        ),
    ],
)
def test_a_target_that_the_format_does_not_give(columns: str, target: str, message: str) -> None:
    with pytest.raises(SeedError, match=f"rows: {message}"):
        recognise(source_of([dict.fromkeys(columns.split(), "x")]), target)  # type: ignore[arg-type]


def test_columns_that_are_not_used_are_known() -> None:
    found = recognise(source_of([{"instruction": "u", "output": "a", "id": 1}, {"source": "x"}]), "ift")
    assert found.unused == ["id", "source"]


def test_a_language_needs_a_column() -> None:
    row = {"instruction": "u", "output": "a"}
    with pytest.raises(SeedError, match="the first rows name no language"):
        recognise(source_of([row]), "ift", needs_language=True)
    assert recognise(source_of([{**row, "language": "en"}]), "ift", needs_language=True)


def test_only_the_first_rows_are_looked_at() -> None:
    def read() -> object:
        for _ in range(SAMPLE):
            yield next(iter(source_of([{"instruction": "u", "output": "a"}]).read()))
        raise AssertionError("read on")

    assert recognise(Source("rows", "a list", read), "ift").form.name == "alpaca"  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "target"), [("ift.jsonl", "ift"), ("eft.jsonl", "eft")])
def test_the_shipped_seeds_come_through_unchanged(name: str, target: str, import_rows) -> None:  # type: ignore[no-untyped-def]
    rows = [json.loads(line) for line in find("seeds", name).read_text(encoding="utf-8").splitlines()]
    assert import_rows(rows, target).rows == rows
