"""events.jsonl: what happened when, one line each with a checksum, appended in a single write."""

import errno
import json
import os
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from selfreward.storage.durable import storing


def now() -> str:
    """ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class EventLog:
    """The log of one run. Opening it mends a line that a crash cut short."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with storing(path):
            if path.exists():
                data = path.read_bytes()
                whole = data.rfind(b"\n") + 1
                if whole != len(data):
                    os.truncate(path, whole)

    def write(self, event: str, **fields: Any) -> None:
        """Append an event."""
        body = json.dumps({"time": now(), "event": event, **fields}, ensure_ascii=False)
        with storing(self._path):
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                line = _with_checksum(body)
                written = os.write(handle, line)
                if written != len(line):  # a disk that was full in the middle of it
                    os.ftruncate(handle, os.fstat(handle).st_size - written)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(handle)


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Whole events, oldest first; damaged lines are passed over."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            body = _checked(line)
            if body is not None:
                yield json.loads(body)


def damaged_lines(path: Path) -> list[int]:
    """Numbers of the lines that are not what was written."""
    with path.open("rb") as file:
        return [number for number, line in enumerate(file, 1) if _checked(line) is None]


def _with_checksum(body: str) -> bytes:
    return f'{body[:-1]}, "crc": "{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def _checked(line: bytes) -> str | None:
    try:
        body = line[: line.rindex(b', "crc": "')].decode() + "}"
    except ValueError:
        return None
    return body if line == _with_checksum(body) else None
