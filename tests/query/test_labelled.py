"""Labelled responses as a list: every filter and order acts, in the terminal too, and what fits is exported."""

import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from fixture_run import Command
from run_kinds import make_labelled

from selfreward.errors import StoreError
from selfreward.overriding import set_score
from selfreward.query import ordering
from selfreward.query.labelled import EVERY_LABEL, LABELLED_SORTS, LabelledFilter, LabelledRow, page_of_labelled
from selfreward.storage.run import RunStore

ORDERS = {"score": [0, 1], "length": [1, 0], "prompt": [0, 1], "order": [0, 1]}
"""By the sort the places of the wanted and the unwanted one, which is the longer one."""


def test_every_order_acts(finished_run: RunStore) -> None:
    ids = [row.id for row in make_labelled(finished_run)]
    assert set(ORDERS) == set(LABELLED_SORTS)
    for sort in LABELLED_SORTS:
        rows = page_of_labelled(finished_run, 1, sort=sort).rows
        assert [row.id for row in rows] == [ids[place] for place in ORDERS[sort]]
    assert [row.id for row in page_of_labelled(finished_run, 1, ascending=True).rows] == ids[::-1]
    assert [row.id for row in page_of_labelled(finished_run, 1, offset=1, limit=1).rows] == ids[1:]


@pytest.mark.parametrize(
    ("where", "scores"),
    [
        ({"wanted": True}, [4.0]),
        ({"wanted": False}, [1.5]),
        ({"min_score": 2}, [4.0]),
        ({"max_score": 2}, [1.5]),
        ({"overridden": True}, [1.5]),
        ({"overridden": False}, [4.0]),
        ({"text": "ANSWER 1"}, [1.5]),
        ({"text": "name a fruit"}, [4.0, 1.5]),
        ({"text": "vegetable"}, []),
    ],
)
def test_every_filter_acts(finished_run: RunStore, where: dict[str, Any], scores: list[float]) -> None:
    _, unwanted = make_labelled(finished_run)
    set_score(finished_run, unwanted.response_id, 2, "better than that")
    assert where.keys() <= LabelledFilter.model_fields.keys()
    page = page_of_labelled(finished_run, 1, LabelledFilter(**where))
    assert [row.score for row in page.rows] == scores
    assert (page.total, page.labelled, page.cut, page.finished) == (len(scores), 2, None, True)
    assert [row.overridden for row in page.rows] == [score < 2 for score in scores]


def test_a_search_is_bounded_and_says_so(finished_run: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    make_labelled(finished_run)
    monkeypatch.setattr(ordering, "SEARCHED", 1)
    page = page_of_labelled(finished_run, 1, LabelledFilter(text="answer"))
    assert (page.total, page.cut) == (1, 1)


def test_other_iterations_have_none(finished_run: RunStore) -> None:
    with pytest.raises(StoreError, match="no labelled responses"):
        page_of_labelled(finished_run, 1, EVERY_LABEL)


def test_the_terminal_lists_them(command: Command, finished_run: RunStore) -> None:
    wanted, unwanted = make_labelled(finished_run)
    code, _, err = command("pairs", "small", "-i", "1")
    assert (code, "--of labelled` lists them" in " ".join(err.split())) == (1, True)
    code, out, err = command("pairs", "small", "-i", "1", "--of", "labelled")
    assert (code, "wanted, score 4.000" in out, "unwanted, score 1.500" in out) == (0, True, True)
    assert "2 labelled responses from 2 prompts" in err
    of = ("pairs", "small", "-i", "1", "--of", "labelled")
    assert [row["id"] for row in json.loads(command(*of, "--unwanted", "--json")[1])] == [unwanted.id]
    assert [row["id"] for row in json.loads(command(*of, "--score", "3:", "--json")[1])] == [wanted.id]
    assert command(*of, "--csv")[1].splitlines()[0] == ",".join(LabelledRow.model_fields)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--of", "labelled", "--margin", "1:"), "--margin: is no filter of --of labelled"),
        (("--of", "labelled", "--sort", "margin"), "expected one of score, length, prompt, order"),
        (("--of", "labelled", "--score", "1"), "--score 1: expected LOW:HIGH"),
        (("--wanted",), "--wanted: is no filter of --of responses"),
        (("--score", "1:"), "--score: is no filter of --of responses"),
    ],
)
@pytest.mark.parametrize("first", [("pairs", "small", "-i", "1"), ("export", "small", "-i", "1", "-o", "x.jsonl")])
def test_what_makes_no_sense_is_refused(
    command: Command, finished_run: RunStore, first: tuple[str, ...], options: tuple[str, ...], said: str
) -> None:
    code, _, err = command(*first, *options)
    assert (code, said in err) == (2, True), err


def test_what_fits_is_exported_as_trl_reads_it(command: Command, finished_run: RunStore) -> None:
    wanted, unwanted = make_labelled(finished_run)
    for form in ("jsonl", "parquet"):
        assert command("export", "small", "-i", "1", "--of", "labelled", "-o", f"all.{form}")[0] == 0
    with open("all.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert pq.read_table("all.parquet").to_pylist() == rows
    assert list(rows[0])[:3] == ["prompt", "completion", "label"]
    assert [(row["id"], row["label"]) for row in rows] == [(wanted.id, True), (unwanted.id, False)]
    assert rows[0]["completion"] == [one.model_dump() for one in wanted.completion]
    assert rows[0]["prompt"] == [one.model_dump() for one in wanted.prompt]
    _, _, err = command("export", "small", "-i", "1", "--of", "labelled", "-o", "one.jsonl", "--wanted")
    assert "1 labelled responses" in err


def test_pairs_of_judgments_are_not_exported(command: Command, finished_run: RunStore) -> None:
    code, _, err = command("export", "small", "-i", "1", "--of", "judgments", "-o", "x.jsonl")
    assert (code, "are not exported" in err) == (2, True)
