"""Writing so that a crash leaves the old or the new, never half: temporary name, fsync, rename, fsync of the directory.

JSON is sealed: it carries a hash of itself, in one canonical form, so that a changed byte anywhere is noticed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfreward.errors import StoreError

TEMPORARY = ".tmp-"
"""How names of unfinished files begin; what bears one is left over from a crash and is swept away."""


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turns a failed write into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written: {error.strerror or error}. Everything that was finished before is kept: make "
            "room or give write permission, then run the same command again"
        ) from error


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file under a temporary name, then put it in place."""
    temporary = path.with_name(TEMPORARY + path.name)
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            sync(temporary)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Durable text."""
    write_file(path, lambda temporary: temporary.write_bytes(text.encode()))


def move_into_place(temporary: Path, path: Path) -> None:
    """Put a finished file or directory in place of whatever an earlier, unfinished try left there."""
    with storing(path):
        for file in temporary.rglob("*"):
            sync(file)
        sync(temporary)
        discard(path)
        os.replace(temporary, path)
        sync(path.parent)


def discard(directory: Path) -> None:
    """Remove a directory and all that is in it, if it is there."""
    if directory.is_dir():
        with storing(directory):
            shutil.rmtree(directory)


def sync(path: Path) -> None:
    """fsync of a file or directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(directory: Path, *, spare: str) -> None:
    """Remove what a crash left unfinished, but for what is called ``spare``."""
    for path in sorted(directory.rglob(f"{TEMPORARY}*")):
        if spare in path.relative_to(directory).parts:
            continue
        with storing(path):
            discard(path)
            path.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def value_hash(value: Any) -> str:
    """sha256 of a JSON value in canonical form."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def write_sealed(path: Path, value: dict[str, Any]) -> str:
    """Write JSON with its own hash in it; gives the hash."""
    seal = value_hash(value)
    write_text(path, _canonical({**value, "seal": seal}) + "\n")
    return seal


def read_sealed(path: Path) -> dict[str, Any]:
    """Sealed JSON without its seal.

    Raises:
        StoreError: missing, or not what was written.
    """
    try:
        text = path.read_bytes().decode()
        value = json.loads(text)
        seal = value.pop("seal")
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise StoreError(f"{path}: damaged: no sealed JSON") from error
    if seal != value_hash(value) or text != _canonical({**value, "seal": seal}) + "\n":
        raise StoreError(f"{path}: damaged: its content does not match its seal")
    result: dict[str, Any] = value
    return result


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
