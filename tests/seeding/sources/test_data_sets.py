"""Parquet, saved data sets and the Hub, through the real libraries; what the Hub would send is put in their place."""

from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfreward.errors import SeedError
from selfreward.seeding.formats.base import LeftOut, Numbered
from selfreward.seeding.sources import Place, arrow, open_source

ROWS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": f"Grüße {i} 🙂"}, {"role": "assistant", "content": "a"}], "n": i}
    for i in range(7)
]
NOWHERE = Place()


def rows(name: str, place: Place = NOWHERE) -> list[dict[str, Any]]:
    source = open_source(name, place)
    found = list(source.read())
    assert list(source.read()) == found, "reading again gives the same"
    assert [item.line for item in found] == list(range(1, len(found) + 1))
    return [item.row for item in found if isinstance(item, Numbered)]


@pytest.mark.parametrize("batch", [1, 3, 256])
def test_parquet(tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "_BATCH", batch)
    path = tmp_path / "a.bin"
    pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=4)
    assert open_source(str(path)).kind == "Parquet"
    assert rows(str(path)) == ROWS


def test_a_text_that_is_not_utf8_spoils_only_its_row(tmp_path: Path) -> None:
    texts = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"x\xffz")]
    )
    pq.write_table(pa.table({"a": texts}), tmp_path / "a.parquet")
    found = list(open_source(str(tmp_path / "a.parquet")).read())
    assert [type(item) for item in found] == [Numbered, LeftOut, Numbered]
    assert found[1] == LeftOut(2, "not_utf8", "a text of the row is not UTF-8")


def test_a_date_that_no_calendar_has_spoils_only_its_row(tmp_path: Path) -> None:
    columns = {"a": ["x", "y"], "when": pa.array([0, 2**62], pa.timestamp("us"))}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    found = list(open_source(str(tmp_path / "a.parquet")).read())
    assert isinstance(found[0], Numbered)
    assert found[1][:2] == (2, "bad_value")


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"]], names=["x", "x"]), tmp_path / "a.parquet")
    with pytest.raises(SeedError, match=r"a\.parquet: has two columns named x; expected each name once"):
        rows(str(tmp_path / "a.parquet"))


def test_parquet_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SeedError, match=r"a\.parquet: cannot be read as Parquet"):
        rows(str(path))


def test_a_saved_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "_BATCH", 2)
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "d", num_shards=2)
    assert rows(str(tmp_path / "d")) == ROWS
    assert open_source(str(tmp_path / "d")).kind == "saved data set"
    with pytest.raises(SeedError, match="has no splits; leave out --split"):
        open_source(str(tmp_path / "d"), Place(split="train"))
    with pytest.raises(SeedError, match="--config and --revision are for data sets on the Hub"):
        open_source(str(tmp_path / "d"), Place(config="x"))


def test_a_saved_data_set_with_splits(tmp_path: Path) -> None:
    parts = {name: datasets.Dataset.from_list(ROWS[i : i + 1]) for i, name in enumerate(("train", "test"))}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    assert rows(str(tmp_path / "d")) == ROWS[:1]
    assert rows(str(tmp_path / "d"), Place(split="test")) == ROWS[1:2]
    assert open_source(str(tmp_path / "d"), Place(split="test")).kind == "saved data set, split test"
    with pytest.raises(SeedError, match="has the splits train, test; choose one with --split"):
        open_source(str(tmp_path / "d"), Place(split="validation"))
    datasets.DatasetDict(a=parts["train"], b=parts["test"]).save_to_disk(tmp_path / "e")
    with pytest.raises(SeedError, match="has the splits a, b; choose one with --split"):
        open_source(str(tmp_path / "e"))
    datasets.DatasetDict(only=parts["test"]).save_to_disk(tmp_path / "f")
    assert rows(str(tmp_path / "f")) == ROWS[1:2]


def test_a_damaged_data_set(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "d")
    (part,) = (tmp_path / "d").glob("*.arrow")
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(SeedError, match=r"cannot be read as (an Arrow file|a saved data set)"):
        rows(str(tmp_path / "d"))
    (tmp_path / "d" / "state.json").write_text("nonsense", encoding="utf-8")
    with pytest.raises(SeedError, match="cannot be read as a saved data set"):
        rows(str(tmp_path / "d"))


def test_a_directory_of_data_files(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "train.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS[:1]), tmp_path / "test.parquet")
    assert rows(str(tmp_path)) == ROWS
    assert rows(str(tmp_path), Place(split="test")) == ROWS[:1]
    assert open_source(str(tmp_path)).kind == "directory of data files"
    with pytest.raises(SeedError, match=r"cannot be read: .*validation"):
        rows(str(tmp_path), Place(split="validation"))
    with pytest.raises(SeedError, match=r"cannot be read: .*other"):
        rows(str(tmp_path), Place(config="other"))


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match="cannot be read: "):
        rows(str(tmp_path))


def test_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(*arguments: Any, **more: Any) -> Any:
        asked.append((arguments, more))
        return datasets.Dataset.from_list(ROWS).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert rows("org/data", Place(split="test", config="c", revision="v1")) == ROWS
    assert asked[0] == (("org/data", "c"), {"split": "test", "revision": "v1", "streaming": True})
    assert rows("data") == ROWS
    assert asked[-1] == (("data", None), {"split": "train", "revision": None, "streaming": True})


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("no network"),
        FileNotFoundError("no network"),
        ValueError("no network"),
        RuntimeError("no network"),
        datasets.exceptions.DatasetGenerationError("no network"),
    ],
)
def test_a_hub_that_does_not_answer(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(SeedError, match=r"org/data: cannot be read: no network. Expected a file, a directory"):
        list(open_source("org/data").read())


def test_a_hub_that_stops_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> Any:
        yield from ROWS[:3]
        raise ConnectionError

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(SeedError, match="org/data: cannot be read after row 3: ConnectionError"):
        list(open_source("org/data").read())
