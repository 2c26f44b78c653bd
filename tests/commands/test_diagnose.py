"""`selfreward diagnose` as CSV; the rest of it is in tests/test_diagnose.py."""

import csv
import io
import json

from fixture_run import Command

from selfreward.storage.run import RunStore


def test_csv_has_a_line_for_each_figure(command: Command, finished_run: RunStore) -> None:
    code, out, _ = command("diagnose", "small", "-i", "1", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    (iteration,) = json.loads(command("diagnose", "small", "-i", "1", "--json")[1])["iterations"]
    assert code == 0
    assert [row["name"] for row in rows] == [finding["name"] for finding in iteration["findings"]]
    assert {row["iteration"] for row in rows} == {"1"}
    assert command("diagnose", "small", "--csv", "--json")[0] == 2
