"""`selfreward export`: the pairs that fit, as TRL reads them."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fixture_run import NASTY, Command

from selfreward.storage.run import RunStore


def test_json_lines_are_conversational(command: Command, finished_run: RunStore, tmp_path: Path) -> None:
    code, _, err = command("export", "small", "-i", "1", "-o", "pairs.jsonl")
    (row,) = map(json.loads, (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines())
    assert (code, list(row)[:3]) == (0, ["prompt", "chosen", "rejected"])
    assert row["chosen"] == [{"role": "assistant", "content": f"answer 0 {NASTY}"}]
    assert row["margin"] == 2.5
    assert "1 pairs of iteration 1" in err


def test_parquet_holds_the_same(command: Command, finished_run: RunStore, tmp_path: Path) -> None:
    command("export", "small", "-i", "1", "-o", "pairs.jsonl")
    command("export", "small", "-i", "1", "-o", "pairs.parquet")
    (line,) = (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    assert pq.read_table(tmp_path / "pairs.parquet").to_pylist() == [json.loads(line)]


@pytest.mark.parametrize("name", ["none.jsonl", "none.parquet"])
def test_filters_act(command: Command, finished_run: RunStore, tmp_path: Path, name: str) -> None:
    _, _, err = command("export", "small", "-i", "1", "-o", name, "--margin", "3:")
    assert "0 pairs" in err
    rows = pq.read_table(tmp_path / name).num_rows if name.endswith("parquet") else len((tmp_path / name).read_bytes())
    assert rows == 0


def test_nothing_is_written_over(command: Command, finished_run: RunStore, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("mine", encoding="utf-8")
    (tmp_path / "dir.jsonl").mkdir()
    for name, said in (("mine.jsonl", "already there"), ("dir.jsonl", "already there"), ("mine.txt", ".jsonl")):
        code, _, err = command("export", "small", "-i", "1", "-o", name)
        assert (code, said in err) == (2, True)
    assert (tmp_path / "mine.jsonl").read_text(encoding="utf-8") == "mine"
    assert command("export", "small", "-i", "1", "-o", "mine.jsonl", "--force")[0] == 0
    assert command("export", "small", "-i", "1", "-o", "dir.jsonl", "--force")[0] == 2


def test_an_iteration_without_pairs_leaves_no_file(command: Command, unfinished_run: RunStore, tmp_path: Path) -> None:
    code, _, err = command("export", "small", "-i", "3", "-o", "pairs.jsonl")
    assert (code, "has no pairs yet" in err) == (1, True)
    assert not (tmp_path / "pairs.jsonl").exists()
