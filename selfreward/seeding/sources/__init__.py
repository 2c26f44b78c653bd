"""Where rows come from: files, directories of saved data sets, data sets on the Hub."""

import re
from dataclasses import dataclass
from pathlib import Path

from selfreward.errors import SeedError
from selfreward.seeding.sources.arrow import read_parquet, read_saved, saved_parts
from selfreward.seeding.sources.base import Source
from selfreward.seeding.sources.csv_table import delimiter, read_csv
from selfreward.seeding.sources.files import PARQUET, is_gzip, start_of
from selfreward.seeding.sources.hub import read_hub
from selfreward.seeding.sources.json_array import read_json_array, read_json_document
from selfreward.seeding.sources.json_lines import has_json_lines, read_json_lines

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_CSV = {".csv", ".tsv"}
_FILES = {".json", ".jsonl", ".ndjson", ".gz", ".parquet", ".txt", *_CSV}


@dataclass(frozen=True)
class Place:
    """What part of a data set to read."""

    split: str | None = None
    config: str | None = None
    revision: str | None = None


def open_source(name: str, place: Place = Place()) -> Source:
    """Find out what a source is; a thing on this machine comes before one on the Hub.

    Raises:
        SeedError: there is none of that name, or it is of a kind that is not read.
    """
    if not name.strip():  # an empty path would be the current directory, with all that is in it
        raise SeedError("the source has no name; expected a file, a directory, or a data set's id on the Hub")
    if name == "-":
        raise SeedError("-: rows are read twice, so they cannot come through a pipe; save them as a file first")
    path = Path(name).expanduser()
    if path.is_dir():
        return _directory(path, place)
    if path.exists():
        if place != Place():
            raise SeedError(f"{path}: is a file; --split, --config and --revision are for data sets")
        if not path.is_file():
            raise SeedError(f"{path}: is no file that can be read twice; save what comes out of it as a file first")
        return _file(path)
    if not _HUB_ID.fullmatch(name) or (Path(name).suffix.lower() in _FILES):
        raise SeedError(f"{name}: no such file or directory, and no id of a data set on the Hub")
    return Source(name, "data set on the Hub", lambda: read_hub(name, place.config, place.split, place.revision))


def _directory(path: Path, place: Place) -> Source:
    if not any((path / mark).exists() for mark in ("state.json", "dataset_dict.json")):
        name = str(path.resolve())
        return Source(str(path), "directory of data files", lambda: read_hub(name, place.config, place.split, None))
    if place.config or place.revision:
        raise SeedError(f"{path}: is a saved data set; --config and --revision are for data sets on the Hub")
    parts, split = saved_parts(path, place.split)
    kind = f"saved data set, split {split}" if split else "saved data set"
    return Source(str(path), kind, lambda: read_saved(parts))


def _file(path: Path) -> Source:
    start = start_of(path)
    if start.startswith(PARQUET):
        if is_gzip(path):
            raise SeedError(f"{path}: is Parquet inside gzip; unpack it first (gunzip)")
        return Source(str(path), "Parquet", lambda: read_parquet(path))
    packed = "gzip-compressed " if is_gzip(path) else ""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix in _CSV:
        separator = delimiter(path)
        return Source(str(path), f"{packed}CSV", lambda: read_csv(path, separator))
    text = start.lstrip()
    if text.startswith(b"["):
        return Source(str(path), f"{packed}JSON array", lambda: read_json_array(path))
    if suffix == ".json" and not has_json_lines(path):
        return Source(str(path), f"{packed}JSON", lambda: read_json_document(path))
    return Source(str(path), f"{packed}JSONL", lambda: read_json_lines(path))
