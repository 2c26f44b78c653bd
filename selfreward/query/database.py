"""The process's one DuckDB: in memory, bounded, opened when first asked.

What a user typed is bound as a parameter, never put into SQL, and files come from the manifests alone.
"""

from __future__ import annotations

import glob
import os
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.errors import StoreError

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

MEMORY = "512MB"
"""Beyond it DuckDB writes to a temporary directory."""
LOCK = threading.RLock()
"""Held from when a table's name is asked for until it is no longer read, so that nobody drops it meanwhile."""
_OPENING = threading.Lock()


def database() -> duckdb.DuckDBPyConnection:
    """The connection; every query has a cursor of its own, so threads may ask at once."""
    with _OPENING:
        return _open()


@cache
def _open() -> duckdb.DuckDBPyConnection:
    import duckdb

    spill = Path(tempfile.gettempdir()) / f"selfreward-duckdb-{os.getpid()}"
    # Nothing is fetched from the network, whatever a query names.
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
    }
    return duckdb.connect(config=settings)


def select(sql: str, files: Sequence[Path], **parameters: Any) -> list[dict[str, Any]]:
    """Rows of a query over Parquet files, which it names ``$files``; none where there are no files.

    Raises:
        StoreError: a file is missing or damaged.
    """
    return _rows(sql, files, parameters) if files else []


def ask(sql: str, **parameters: Any) -> list[dict[str, Any]]:
    """Rows of a query over tables that were made before."""
    return _rows(sql, (), parameters)


def numbers(sql: str, **parameters: Any) -> NDArray[np.int64]:
    """The one column of a query over tables that were made before, all of whole numbers."""
    with database().cursor() as cursor:
        (column,) = cursor.execute(sql, parameters or None).fetchnumpy().values()
    return column


def change(sql: str, files: Sequence[Path] = (), **parameters: Any) -> None:
    """Make, fill or drop a table; of Parquet files where the statement names ``$files``.

    Raises:
        StoreError: a file is missing or damaged.
    """
    _rows(sql, files, parameters)


def _rows(sql: str, files: Sequence[Path], parameters: dict[str, Any]) -> list[dict[str, Any]]:
    import duckdb

    if files:
        parameters = {**parameters, "files": [glob.escape(str(file)) for file in files]}
    try:
        with database().cursor() as cursor:
            found = cursor.execute(sql, parameters or None)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error as error:
        if not files:
            raise
        raise StoreError(
            f"{files[0].parent}: cannot be read: {str(error).splitlines()[0]}; `selfreward verify` says more"
        ) from error
