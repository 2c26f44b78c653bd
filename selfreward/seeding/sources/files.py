"""Opening a file for reading: what it really is, whatever its name says; gzip is unpacked on the way."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from selfreward.errors import SeedError

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
UTF8_MARK = b"\xef\xbb\xbf"
LONGEST = 32 * 1024 * 1024
"""Bytes of one line or one object; what is longer is no row."""
_OTHER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_OTHER_KINDS = {
    b"\x28\xb5\x2f\xfd": "zstd-compressed; unpack it first (zstd -d)",
    b"BZh": "bzip2-compressed; unpack it first (bunzip2)",
    b"\xfd7zXZ": "xz-compressed; unpack it first (unxz)",
    b"PK\x03\x04": "a zip archive (so is a spreadsheet); unpack it, or save the sheet as CSV",
    b"ARROW1": "an Arrow file; save it as Parquet",
    b"SQLite format 3": "a SQLite database; write its rows as CSV",
    b"\x80\x04": "a Python pickle, which is never opened, for it can run code; save it as JSONL",
}
_SNIFFED = 4096
_BUFFER = 1 << 20


def is_gzip(path: Path) -> bool:
    """Whether a file is gzip-compressed."""
    return start_of(path, packed=True).startswith(GZIP)


def start_of(path: Path, *, packed: bool = False) -> bytes:
    """The first bytes of a file, unpacked unless ``packed``, without a UTF-8 mark.

    Raises:
        SeedError: it cannot be read, or is of a kind that is not read here.
    """
    if packed:
        with reading(path), path.open("rb") as file:
            return file.read(_SNIFFED)
    with opened(path) as file, reading(path):
        start = file.read(_SNIFFED)
    for mark, name in _OTHER_MARKS.items():
        if start.startswith(mark):
            raise SeedError(f"{path}: is {name}; save it as UTF-8 (iconv -f {name} -t UTF-8)")
    if start[:1] != start[1:2] and b"\0" in start[:2]:
        raise SeedError(f"{path}: has a null byte at its beginning, as UTF-16 has; save it as UTF-8 (iconv -t UTF-8)")
    for mark, what in _OTHER_KINDS.items():
        if start.startswith(mark):
            raise SeedError(f"{path}: is {what}")
    return start.removeprefix(UTF8_MARK)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked."""
    packed = is_gzip(path)
    with reading(path):
        raw = gzip.GzipFile(path) if packed else path.open("rb", buffering=0)
    with raw, io.BufferedReader(cast(io.RawIOBase, raw), _BUFFER) as file:
        yield cast(BinaryIO, file)


@contextmanager
def reading(path: Path, place: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Turns a failed read into an error that names the file; ``place`` says how far it was read."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SeedError(
            f"{path}{place()}: the gzip data are damaged or cut off ({error}); fetch the file again"
        ) from error
    except OSError as error:
        raise SeedError(f"{path}{place()}: {error.strerror or error}") from error
