"""Pairs of judgments, as a list and as items."""

import json

import pytest
from fixture_run import Command
from run_kinds import make_judged_judgments

from selfreward.errors import StoreError
from selfreward.overriding import exclude
from selfreward.query.iterations import iteration_table
from selfreward.query.judgment_pairs import page_of_judgment_pairs
from selfreward.query.pairs import page_of_pairs
from selfreward.storage.run import RunStore
from selfreward.walk import PromptWalk, walk


def test_they_are_listed_apart_from_pairs_of_responses(finished_run: RunStore) -> None:
    made = make_judged_judgments(finished_run)
    found = page_of_judgment_pairs(finished_run, 1)
    (row,) = found.rows
    assert (row.id, row.chosen_id, row.margin, row.variance, row.flags) == (made.id, made.chosen_id, 1.0, None, ())
    assert (found.total, found.finished) == (1, True)
    assert page_of_judgment_pairs(finished_run, 1, offset=1).rows == ()
    assert [row.id for row in page_of_pairs(finished_run, 1).rows] != [made.id]
    assert iteration_table(finished_run)[1].judgment_pairs == 1


def test_the_terminal_lists_and_explains_them(command: Command, finished_run: RunStore) -> None:
    made = make_judged_judgments(finished_run)
    code, out, err = command("pairs", "small", "-i", "1", "--of", "judgments", "--json")
    assert (code, [row["id"] for row in json.loads(out)]) == (0, [made.id])
    code, out, err = command("pairs", "small", "-i", "1", "--of", "judgments")
    assert (code, "1 pairs of judgments" in err) == (0, True)
    for item in (made.id, "j-compared"):
        code, out, err = command("show", "small", item)
        assert (code, f"Pair of judgments {made.id}" in out) == (0, True), err


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--of", "models"), "expected one of"), (("--of", "judgments", "--text", "a"), "no filter of")],
)
def test_what_makes_no_sense_is_refused(
    command: Command, finished_run: RunStore, options: tuple[str, ...], said: str
) -> None:
    make_judged_judgments(finished_run)
    code, _, err = command("pairs", "small", "-i", "1", *options)
    assert (code, said in err) == (2, True)


def test_they_cannot_be_decided_about(finished_run: RunStore) -> None:
    made = make_judged_judgments(finished_run)
    with pytest.raises(StoreError, match="is a pair of judgments"):
        exclude(finished_run, made.id, "no")


def test_the_walk_has_the_comparisons(finished_run: RunStore) -> None:
    make_judged_judgments(finished_run)
    found = walk(finished_run, "j-compared")
    assert isinstance(found, PromptWalk)
    assert found.judgments_compared is not None
    assert [one.id for one in found.judgments_compared.comparisons] == ["j-compared"]
