"""Plain ranked and judged responses, one a row; and real data."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seed_imports import Import, source_of

from selfreward.errors import SeedError
from selfreward.seeding.formats.base import LeftOut, Made, Numbered
from selfreward.seeding.formats.ranked_rows import best

Row = dict[str, Any]


def row(prompt: str, response: str, quality: Any = None, **more: Any) -> Row:
    return {"prompt": prompt, "response": response, "quality": quality, **more}


ROWS = [row("p", "a", 0.5), row("q", "b", 1), row("p", "c", 0.75), row("p", "d", 0.75), row("q", "e", None)]


def test_the_best_response_of_each_prompt(import_rows: Import) -> None:
    done = import_rows(ROWS, "ift")
    assert [(r["instruction"], r["response"]) for r in done.rows] == [("q", "b"), ("p", "c")]
    assert done.reasons == [(1, "not_the_best"), (4, "not_the_best"), (5, "no_rank")]
    assert done.left_out[0].detail == "line 3 has the prompt's best response"


def test_ranked_rows(import_rows: Import) -> None:
    done = import_rows(ROWS, "ranked")
    assert [(r["prompt"], r["response"], r["rank"], r["quality"]) for r in done.rows] == [
        ("p", "a", None, 0.5),
        ("p", "c", None, 0.75),
        ("p", "d", None, 0.75),
    ]
    assert len({r["prompt_id"] for r in done.rows}) == 1
    assert done.reasons == [(2, "one_response"), (5, "no_rank")]


@pytest.mark.parametrize("lowest", [0, 1])
def test_ranks_count_from_0_or_1(lowest: int, import_rows: Import) -> None:
    rows = [{"prompt": "p", "response": r, "rank": lowest + i} for i, r in enumerate("abc")]
    assert [r["rank"] for r in import_rows(rows, "ranked").rows] == [0, 1, 2]
    assert [r["response"] for r in import_rows(rows[::-1], "ift").rows] == ["a"]


def test_a_rank_counts_before_a_quality(import_rows: Import) -> None:
    rows = [row("p", "a", 0.9), row("p", "b", 0.1, rank=1), row("p", "c", 0.2, rank=0)]
    assert [r["response"] for r in import_rows(rows, "ift").rows] == ["c"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row("p", "x", "good"), "no_rank"),
        (row("p", "x", True), "no_rank"),
        (row("p", "x", 10**400), "no_rank"),
        (row("p", "x", float("inf")), "no_rank"),
        (row("p", "x", float("nan")), "no_rank"),
        (row("p", "x", rank=0.5), "no_rank"),
        (row("p", "x", rank=-1), "no_rank"),
        ({"prompt": "p", "response": "x"}, "no_rank"),
        (row("p", "", 1), "no_text"),
        (row("", "x", 1), "no_text"),
        (row("p", "x\ud83d", 1), "not_unicode"),
        (row("p", "x", 1, prompt_id="\udc00"), "not_unicode"),
        ({}, "no_text"),
    ],
)
def test_a_bad_row_is_named_once(bad: Row, reason: str, import_rows: Import) -> None:
    for target in ("ift", "ranked"):
        done = import_rows([*ROWS[:4], bad], target)
        assert done.reasons[-1] == (5, reason)
        assert [line for line, _ in done.reasons].count(5) == 1


def test_one_id_one_prompt(import_rows: Import) -> None:
    rows = [row("p", "a", 1, prompt_id=7), row("p", "b", 2, prompt_id=7), row("other", "c", 3, prompt_id=7)]
    assert import_rows(rows, "ift").reasons == [(1, "not_the_best"), (3, "other_prompt")]
    done = import_rows(rows, "ranked")
    assert [r["prompt_id"] for r in done.rows] == ["7", "7"]
    assert done.reasons == [(3, "other_prompt")]


def test_what_is_written_as_ranked_can_be_imported_again(import_rows: Import) -> None:
    talk = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "v"}, {"role": "user", "content": "w"}]
    rows = import_rows([*ROWS, row(talk, "a", 1), row(talk, "b", 2)], "ranked").rows
    assert "messages" in rows[-1]
    again = import_rows(rows, "ranked")
    assert (again.form, again.rows) == ("ranked", rows)
    assert import_rows(rows, "ift").rows[-1]["messages"] == [*talk, {"role": "assistant", "content": "b"}]


def test_eft_needs_rationales(import_rows: Import) -> None:
    with pytest.raises(SeedError, match=r"--as ranked, then `selfreward seeds build-eft`"):
        import_rows(ROWS, "eft")


def test_judged_rows_are_eft(import_rows: Import) -> None:
    rows = [
        {"prompt": "p", "response": "a", "score": "3", "feedback": " Good. "},
        {"prompt": "p", "response": "b", "score": 0, "feedback": "Bad."},
        {"prompt": "p", "response": "c", "score": 0, "feedback": ""},
        {"prompt": "p", "response": "d", "score": None, "feedback": "Bad."},
    ]
    done = import_rows(rows, "eft")
    assert done.rows == [
        {"instruction": "p", "response": "a", "rationale": "Good.", "score": 3},
        {"instruction": "p", "response": "b", "rationale": "Bad.", "score": 0},
    ]
    assert (done.form, done.reasons) == ("judged", [(3, "no_rationale"), (4, "no_score")])
    assert [r["quality"] for r in import_rows(rows, "ranked").rows] == [3, 0, 0]


def test_a_conversation_is_no_eft(import_rows: Import) -> None:
    talk = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    done = import_rows([{"prompt": talk, "response": "a", "score": 3, "rationale": "r"}], "eft")
    assert (done.rows, done.reasons) == ([], [(1, "not_one_turn")])


def test_open_assistant_data(import_rows: Import, shared_data: Path) -> None:
    lines = (shared_data / "oasst2_ranked.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    ift, ranked = import_rows(rows, "ift"), import_rows(rows, "ranked")
    prompts = {r["prompt_id"] for r in rows if r["quality_score"] is not None}
    assert len(ift.rows) == len(prompts)
    assert len(ift.rows) + len(ift.left_out) == len(ranked.rows) + len(ranked.left_out) == len(rows)
    # The figures in docs/seeds.md.
    assert (len(ift.rows), dict(ift.tally.left_out)) == (550, {"not_the_best": 1359, "no_rank": 22})
    assert (len(ranked.rows), dict(ranked.tally.left_out)) == (1907, {"no_rank": 22, "duplicate": 2})


def test_self_instruct_data(import_rows: Import, shared_data: Path) -> None:
    lines = (shared_data / "self_instruct_seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()
    done = import_rows([json.loads(line) for line in lines], "ift")
    assert (done.form, len(done.rows), done.left_out) == ("self_instruct", 175, [])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 3)), max_size=30))
def test_the_best_is_the_first_of_the_highest(pairs: list[tuple[str, int]]) -> None:
    rows = [row(prompt, f"r{i}", quality) for i, (prompt, quality) in enumerate(pairs)]

    def reread(*, only_looking: bool = False) -> Any:
        return (found for found in source_of(rows).read() if isinstance(found, Numbered))

    found = list(best(reread))
    expected = {min((-q, i) for i, (p, q) in enumerate(pairs) if p == name)[1] for name, _ in pairs}
    assert {item.line - 1 for item in found if isinstance(item, Made)} == expected
    assert len(found) == len(rows)
    assert all(item.reason == "not_the_best" for item in found if isinstance(item, LeftOut))
