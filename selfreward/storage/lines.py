"""Files of JSON lines that are only ever appended to, each line with a checksum and in a single write."""

import errno
import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfreward.storage.durable import storing


def append(path: Path, value: dict[str, Any], *, durable: bool = False) -> None:
    """Add a line; ``durable`` waits until it is on the disk."""
    line = _with_checksum(json.dumps(value, ensure_ascii=False))
    with storing(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            written = os.write(handle, line)
            if written != len(line):  # a disk that was full in the middle of it
                os.ftruncate(handle, os.fstat(handle).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)


def mend(path: Path) -> None:
    """Take away a last line that a crash cut short."""
    with storing(path):
        if path.exists():
            with path.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                data = file.read()
                whole = data.rfind(b"\n") + 1
                if whole != len(data):
                    file.truncate(whole)


def read(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Numbers and values of all lines, oldest first; None for a damaged one. Nothing where there is no file."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            body = _checked(line)
            yield number, None if body is None else json.loads(body)


def damaged_lines(path: Path) -> list[int]:
    """Numbers of the lines that are not what was written."""
    return [number for number, value in read(path) if value is None]


def _with_checksum(body: str) -> bytes:
    return f'{body[:-1]}, "crc": "{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def _checked(line: bytes) -> str | None:
    try:
        body = line[: line.rindex(b', "crc": "')].decode() + "}"
    except ValueError:
        return None
    return body if line == _with_checksum(body) else None
