"""Data sets by their Hub id, or directories of data files, streamed by the ``datasets`` library."""

from collections.abc import Iterator
from typing import Any

from selfreward.errors import SeedError
from selfreward.seeding.formats.base import Numbered
from selfreward.seeding.sources.base import Found


def read_hub(name: str, config: str | None, split: str | None, revision: str | None) -> Iterator[Found]:
    """Rows in their order, numbered from 1.

    Raises:
        SeedError: no such data set, split or config, no network, or data that the library cannot read.
    """
    import datasets
    import pyarrow as pa
    from huggingface_hub.errors import HTTPError

    number = 0
    try:
        rows: Any = datasets.load_dataset(name, config, split=split or "train", revision=revision, streaming=True)
        for number, row in enumerate(rows, 1):
            yield Numbered(number, dict(row))
    # RuntimeError: data sets that come with a script of their own, which is not run.
    except (
        OSError,
        ValueError,
        RuntimeError,
        OverflowError,
        HTTPError,
        datasets.exceptions.DatasetsError,
        pa.ArrowException,
    ) as error:
        place = f" after row {number}" if number else ""
        raise SeedError(
            f"{name}: cannot be read{place}: {_short(error)}. Expected a file, a directory of a saved data set, or a "
            "data set's id on the Hub (its split and config with --split and --config)"
        ) from error


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 400 else f"{text[:400]}…"
