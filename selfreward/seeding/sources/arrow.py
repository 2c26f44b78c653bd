"""Parquet files and saved data sets, some rows at a time and never mapped into memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from selfreward.errors import SeedError
from selfreward.seeding.formats.base import LeftOut, Numbered
from selfreward.seeding.sources.base import Found

_BATCH = 256
_BUFFER = 1 << 20


def read_parquet(path: Path) -> Iterator[Found]:
    """Rows of a Parquet file, numbered from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            _refuse_doubles(path, file.schema_arrow.names)
            yield from _numbered(file.iter_batches(_BATCH))
    except (pa.ArrowException, OSError) as error:
        raise SeedError(f"{path}: cannot be read as Parquet: {error}") from error


def saved_parts(directory: Path, split: str | None) -> tuple[list[Path], str | None]:
    """The Arrow files of what ``save_to_disk`` wrote, and which split they are.

    Raises:
        SeedError: it is damaged, or has several splits and none is named.
    """
    import datasets

    try:
        found = datasets.load_from_disk(str(directory))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SeedError(f"{directory}: cannot be read as a saved data set: {error}") from error
    if isinstance(found, datasets.DatasetDict):
        split = _chosen(directory, list(map(str, found)), split)
        found = found[split]
    elif split:
        raise SeedError(f"{directory}: has no splits; leave out --split")
    return [Path(part["filename"]) for part in found.cache_files], split


def _chosen(directory: Path, splits: list[str], split: str | None) -> str:
    if split is None:
        split = "train" if "train" in splits or len(splits) != 1 else splits[0]
    if split not in splits:
        raise SeedError(f"{directory}: has the splits {', '.join(splits) or '(none)'}; choose one with --split")
    return split


def read_saved(parts: Iterable[Path]) -> Iterator[Found]:
    """Rows of a saved data set, numbered from 1 over all its files."""
    yield from _numbered(batch for part in parts for batch in _batches(part))


def _batches(part: Path) -> Iterator[Any]:
    import pyarrow as pa

    try:
        with pa.OSFile(str(part)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield from (batch.slice(start, _BATCH) for start in range(0, batch.num_rows, _BATCH))
    except (pa.ArrowException, OSError) as error:
        raise SeedError(f"{part}: cannot be read as an Arrow file: {error}") from error


def _refuse_doubles(path: Path, columns: list[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise SeedError(f"{path}: has two columns named {', '.join(twice)}; expected each name once")


def _numbered(batches: Iterable[Any]) -> Iterator[Found]:
    before = 0
    for batch in batches:
        try:
            rows = batch.to_pylist()
        except (
            ValueError,
            OverflowError,
        ):  # Python has no such value: bytes that are no UTF-8, the year 10000
            for i in range(batch.num_rows):
                yield _one(before + i + 1, batch.slice(i, 1))
        else:
            yield from (Numbered(before + i, row) for i, row in enumerate(rows, 1))
        before += batch.num_rows


def _one(number: int, batch: Any) -> Found:
    try:
        return Numbered(number, batch.to_pylist()[0])
    except UnicodeDecodeError:
        return LeftOut(number, "not_utf8", "a text of the row is not UTF-8")
    except (ValueError, OverflowError) as error:
        return LeftOut(number, "bad_value", f"a value of the row cannot be read ({error})")
