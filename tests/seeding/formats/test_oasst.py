"""Open Assistant: trees are rebuilt, in whatever order their messages stand."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seed_imports import Import, source_of

from selfreward.seeding.formats.base import LeftOut, Made, Numbered, Target
from selfreward.seeding.formats.oasst import OASST

Row = dict[str, Any]


def question(name: str, **more: Any) -> Row:
    return {"message_id": name, "parent_id": None, "role": "prompter", "text": f"Q {name}", "lang": "en", **more}


def answer(name: str, parent: str, rank: float | None, **more: Any) -> Row:
    row = {
        "message_id": name,
        "parent_id": parent,
        "role": "assistant",
        "text": f"A {name}",
        "lang": "en",
        "rank": rank,
    }
    return {**row, **more}


TREE = [
    question("q"),
    answer("a", "q", 1),
    answer("b", "q", 0),
    {**question("deeper"), "parent_id": "b"},
    answer("c", "deeper", 0),
    answer("d", "q", None),
]


def nested(rows: list[Row]) -> Row:
    """The tree as Open Assistant exports it."""

    def node(row: Row) -> Row:
        inside = {name: value for name, value in row.items() if name != "parent_id"}
        return {**inside, "replies": [node(other) for other in rows if other["parent_id"] == row["message_id"]]}

    (root,) = (row for row in rows if row["parent_id"] is None)
    return {"message_tree_id": root["message_id"], "tree_state": "ready_for_export", "prompt": node(root)}


def test_first_turn_with_the_best_answer(import_rows: Import) -> None:
    done = import_rows(TREE, "ift")
    assert done.form == "oasst"
    assert done.rows == [{"instruction": "Q q", "response": "A b"}]
    assert done.reasons == [(2, "not_the_best"), (4, "not_first_turn"), (5, "not_first_turn"), (6, "no_rank")]


def test_ranked_answers(import_rows: Import) -> None:
    done = import_rows(TREE, "ranked")
    assert [(row["prompt_id"], row["prompt"], row["response"], row["rank"]) for row in done.rows] == [
        ("q", "Q q", "A a", 1),
        ("q", "Q q", "A b", 0),
    ]
    assert done.reasons == [(4, "not_first_turn"), (5, "not_first_turn"), (6, "no_rank")]


@pytest.mark.parametrize("target", ["ift", "ranked"])
def test_a_tree_in_a_row_gives_the_same(target: Target, import_rows: Import) -> None:
    done = import_rows([nested(TREE)], target)
    assert done.form == "oasst_trees"
    assert done.rows == import_rows(TREE, target).rows
    assert done.reasons == ([(1, "no_rank")] if target == "ranked" else [])


def test_messages_that_may_not_be_used(import_rows: Import) -> None:
    rows = [
        question("q"),
        answer("a", "q", 0, deleted=True),
        answer("b", "q", 1, review_result=False),
        answer("c", "q", 2, review_result=True, deleted=False),
        question("r", deleted="True"),  # as CSV has it
        answer("d", "r", 0),
        question("s"),
        answer("e", "nowhere", 0),
        answer("f", "q", 0, text=None),
        answer("g", "q", -1),
        {**answer("h", "q", 0), "role": "narrator"},
        question("q", text="again"),
    ]
    done = import_rows(rows, "ift")
    assert done.rows == [{"instruction": "Q q", "response": "A c"}]
    assert done.reasons == [
        (2, "deleted"),
        (3, "not_approved"),
        (5, "deleted"),
        (6, "not_first_turn"),
        (7, "no_answer"),
        (8, "not_first_turn"),
        (9, "no_text"),
        (10, "no_rank"),
        (11, "unknown_role"),
        (12, "duplicate"),
    ]


def test_a_single_answer_is_no_ranking(import_rows: Import) -> None:
    rows = [*TREE, question("x"), answer("y", "x", 0)]
    for given_rows in (rows, [nested(TREE), nested(rows[len(TREE) :])]):
        done = import_rows(given_rows, "ranked")
        assert {row["prompt_id"] for row in done.rows} == {"q"}
        assert "one_response" in [reason for _, reason in done.reasons]
        assert len(import_rows(given_rows, "ift").rows) == 2


def test_languages(import_rows: Import) -> None:
    spanish = [question("es", lang="es"), answer("e", "es", 0, lang="es")]
    done = import_rows([*TREE, *spanish], "ift", languages=("en",))
    assert [row["instruction"] for row in done.rows] == ["Q q"]
    assert [item for item in done.reasons if item[1] == "other_language"] == [
        (7, "other_language"),
        (8, "other_language"),
    ]
    assert len(import_rows([*TREE, *spanish], "ift", languages=("es", "EN_us")).rows) == 2
    done = import_rows([nested(TREE), nested(spanish)], "ift", languages=("en",))
    assert (len(done.rows), done.reasons) == (1, [(2, "other_language")])


def _convert(rows: list[Row], target: Target) -> list[Made | LeftOut]:
    def reread(*, only_looking: bool = False) -> Any:
        return (found for found in source_of(rows).read() if isinstance(found, Numbered))

    return list(OASST.converters[target](reread))


_WORLD = [row for i in range(4) for row in (question(f"q{i}"), *(answer(f"a{i}{j}", f"q{i}", j) for j in range(i)))]


@settings(deadline=None)
@given(st.permutations(_WORLD), st.sampled_from(["ift", "ranked"]))
def test_the_order_of_rows_changes_nothing(rows: list[Row], target: Target) -> None:
    def texts(found: list[Made | LeftOut]) -> list[tuple[str, ...]]:
        return sorted(tuple(map(str, item.row.values())) for item in found if isinstance(item, Made))

    def reasons(found: list[Made | LeftOut]) -> list[str]:
        return sorted(item.reason for item in found if isinstance(item, LeftOut))

    one, other = _convert(_WORLD, target), _convert(rows, target)
    assert texts(one) == texts(other)
    assert reasons(one) == reasons(other)
