"""`selfreward compare`: two iterations in a terminal, as JSON and as CSV."""

import csv
import io
import json

from fixture_run import Command

from selfreward.storage.run import RunStore


def test_figures_and_distributions(command: Command, finished_run: RunStore) -> None:
    code, out, _ = command("compare", "small", "-i", "1", "-i", "2")
    assert code == 0
    for expected in ("small 1   small 2", "mean score", "scores, share of each", "prompts that both answered: 0"):
        assert expected in out
    assert max(map(len, out.splitlines())) <= 80


def test_two_runs_with_the_same_prompts(command: Command, finished_run: RunStore) -> None:
    command("fork", "small", "--at", "1", "--name", "other")
    code, out, _ = command("compare", "small", "other", "-i", "1", "-i", "1", "--limit", "2")
    assert code == 0
    assert "prompts that both answered: 3" in out
    assert "worse 0, same 3, better 0; mean difference of scores +0.000" in out
    assert out.count(" -> ") == 6
    found = json.loads(command("compare", "small", "other", "-i", "1", "-i", "1", "--json")[1])
    assert (found["total"], len(found["rows"]), found["comparable"]) == (3, 3, True)
    rows = list(csv.DictReader(io.StringIO(command("compare", "small", "other", "-i", "1", "-i", "1", "--csv")[1])))
    assert [row["difference"] for row in rows] == ["0.0"] * 3


def test_two_iterations_are_asked_for(command: Command, finished_run: RunStore) -> None:
    assert command("compare", "small", "-i", "1")[0] == 2
    assert command("compare", "small", "-i", "1", "-i", "7")[0] == 1
