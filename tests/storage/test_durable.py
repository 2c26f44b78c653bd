from pathlib import Path

import pytest

from selfreward.errors import StoreError
from selfreward.storage.durable import move_into_place, read_sealed, sweep, write_file, write_sealed, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"a\.txt.*No space left.*same command again"):
        write_file(target, fail)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_every_flipped_byte_of_sealed_json_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_sealed(path, {"name": "é", "n": [1, 2.5, None], "z": {"b": 1, "a": "x y"}})
    whole = path.read_bytes()
    assert read_sealed(path) == {"name": "é", "n": [1, 2.5, None], "z": {"b": 1, "a": "x y"}}
    for position in range(len(whole)):
        for bit in (0x01, 0x20):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :])
            with pytest.raises(StoreError, match="damaged"):
                read_sealed(path)


def test_sealed_json_cut_short_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with pytest.raises(StoreError, match="No such file"):
        read_sealed(path)
    write_sealed(path, {"a": 1})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(StoreError, match="damaged"):
        read_sealed(path)
    path.write_text("[1]")
    with pytest.raises(StoreError, match="damaged"):
        read_sealed(path)


def test_a_directory_moves_over_an_earlier_try(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "stale").write_text("x")
    new = tmp_path / ".tmp-new"
    new.mkdir()
    (new / "fresh").write_text("y")
    move_into_place(new, tmp_path / "adapter")
    assert [p.name for p in (tmp_path / "adapter").iterdir()] == ["fresh"]
    assert not new.exists()


def test_a_file_moves_over_an_earlier_try(tmp_path: Path) -> None:
    (tmp_path / "training.jsonl").write_text("stale")
    (tmp_path / ".tmp-new").write_text("fresh")
    move_into_place(tmp_path / ".tmp-new", tmp_path / "training.jsonl")
    assert (tmp_path / "training.jsonl").read_text() == "fresh"


def test_sweep_removes_only_what_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / "iter-001" / ".tmp-half" / "deep").mkdir(parents=True)
    (tmp_path / "iter-001" / ".tmp-training" / ".tmp-deep").mkdir(parents=True)
    (tmp_path / "iter-001" / ".tmp-00000.parquet").write_text("half")
    (tmp_path / "iter-001" / "00000.parquet").write_text("whole")
    sweep(tmp_path, spare=".tmp-training")
    left = sorted(p.name for p in (tmp_path / "iter-001").rglob("*"))
    assert left == [".tmp-deep", ".tmp-training", "00000.parquet"]
