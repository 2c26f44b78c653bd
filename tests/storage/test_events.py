import os
from pathlib import Path

import pytest

from selfreward.errors import StoreError
from selfreward.storage.events import EventLog, read_events
from selfreward.storage.lines import damaged_lines


def test_events_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write("one", text='line\n"quoted", "crc": "00000000"}')
    log.write("two", n=2)
    events = list(read_events(path))
    assert [e["event"] for e in events] == ["one", "two"]
    assert events[0]["text"] == 'line\n"quoted", "crc": "00000000"}'
    assert damaged_lines(path) == []


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write("one", n=1)
    log.write("two", text="é")
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert damaged_lines(path), position


def test_a_line_cut_short_is_mended_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path).write("one")
    with path.open("ab") as file:
        file.write(b'{"time": "2026')
    assert damaged_lines(path) == [2]
    EventLog(path).write("two")
    assert damaged_lines(path) == []
    assert [e["event"] for e in read_events(path)] == ["one", "two"]


def test_a_short_write_is_taken_back_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write("one")
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:20]))
    with pytest.raises(StoreError, match="No space left on device"):
        log.write("two")
    monkeypatch.undo()
    assert damaged_lines(path) == []
    log.write("three")
    assert [e["event"] for e in read_events(path)] == ["one", "three"]
