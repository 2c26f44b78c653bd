"""Records as Parquet and back, with a schema taken from the record's own types."""

from __future__ import annotations

import gc
import types
import typing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel

from selfreward.errors import StoreError
from selfreward.records import Record

if TYPE_CHECKING:
    import pyarrow as pa

R = TypeVar("R", bound=Record)


def write_table(path: Path, records: Sequence[Record], record_type: type[Record]) -> None:
    """One row a record; equal records give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = schema_of(record_type)
    with _without_collecting(), pq.ParquetWriter(path, schema, compression="zstd") as writer:
        if records:  # a row group without rows cannot be read by `datasets.load_dataset`; a file without one can
            writer.write_table(pa.Table.from_pylist([record.model_dump() for record in records], schema=schema))


def read_table(path: Path, record_type: type[R]) -> list[R]:
    """The records of one file, in order.

    Raises:
        StoreError: the file cannot be read as such records.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with _without_collecting(), pq.ParquetFile(path) as file:
            table = file.read()
            names, columns = table.column_names, [column.to_pylist() for column in table.columns]
            rows = zip(*columns, strict=True)
            return [record_type.model_validate(dict(zip(names, row, strict=True))) for row in rows]
    except (OSError, pa.ArrowException, ValueError) as error:
        raise StoreError(f"{path}: cannot be read as {record_type.__name__} records: {error}") from error


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Records hold no cycles, and to look for some again and again while they are made takes as long as making them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def schema_of(record_type: type[BaseModel]) -> pa.Schema:
    """Arrow schema with the record's fields, in order; given by type, so that empty shards fit the others."""
    import pyarrow as pa

    hints = typing.get_type_hints(record_type)
    return pa.schema([pa.field(name, _arrow_type(hints[name])) for name in record_type.model_fields])


def _arrow_type(annotation: Any) -> pa.DataType:
    import pyarrow as pa

    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        (annotation,) = (a for a in arguments if a is not type(None))
        return _arrow_type(annotation)
    if origin is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    if origin is Literal:
        return pa.string()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return pa.struct(list(schema_of(annotation)))
    return {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}[annotation]
