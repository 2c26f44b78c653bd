"""A user's function in a process of its own: what crashes or hangs there costs one verdict, and not the run."""

import hashlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from selfreward.engines.child import Child
from selfreward.errors import ConfigError

_CHILD = "selfreward.judges.checking_child"
_SECONDS_TO_IMPORT = 120.0
_SETTING = "judge.method.function"


class Verdict(NamedTuple):
    """What a call gave."""

    score: float | None
    said: str = ""
    """Why there is no score."""


class Checker:
    """Calls one function, again and again, in a child that is started anew whenever it died."""

    def __init__(self, function: str, timeout: float) -> None:
        self._function, self._timeout = function, timeout
        self._child: Child | None = None
        self._directory = TemporaryDirectory(prefix="selfreward-check-")

    def __enter__(self) -> "Checker":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._directory.cleanup()

    def start(self) -> None:
        """Import the function.

        Raises:
            ConfigError: there is no such function, or it cannot be called as it will be.
        """
        self._child = Child(_CHILD, Path(self._directory.name) / "log", {})
        self._child.send(self._function)
        answered = self._child.connection.poll(_SECONDS_TO_IMPORT)
        problem = self._heard() if answered else f"its import took longer than {_SECONDS_TO_IMPORT:g} s"
        if problem is not None:
            self._end()
            raise ConfigError(
                f"{_SETTING}={self._function}: {problem}; expected FILE.py:NAME or PACKAGE.MODULE:NAME of a function "
                "that takes prompt, response and reference"
            )

    def verdict(self, prompt: str, response: str, reference: str | None) -> Verdict:
        """What the function says of a response."""
        if self._child is None:
            self.start()
        assert self._child is not None
        self._child.send((prompt, response, reference))
        if not self._child.connection.poll(self._timeout):
            self._end()
            return Verdict(None, f"the call took longer than {self._timeout:g} s")
        try:
            score, said = self._child.connection.recv()
        except (EOFError, OSError):
            return Verdict(None, self._died())
        return Verdict(score, said)

    def _heard(self) -> str | None:
        """What the child says of its import; None where all is well."""
        assert self._child is not None
        try:
            problem: str | None = self._child.connection.recv()
        except (EOFError, OSError):
            problem = f"importing it ended the process: {self._died()}"
        return problem

    def _died(self) -> str:
        child, self._child = self._child, None
        assert child is not None
        child.end()
        return child.cause() or f"its process {child.how_it_ended()}"

    def _end(self) -> None:
        if self._child is not None:
            self._child.end(at_once=True)
            self._child = None


def fingerprint(function: str) -> str:
    """Hash of the file that a function stands in; what that file imports is not in it.

    Raises:
        ConfigError: there is no such file.
    """
    with source_of(function).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_of(function: str) -> Path:
    """The file that a function stands in. Nothing is imported for it.

    Raises:
        ConfigError: there is none.
    """
    place, _, _ = function.rpartition(":")
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise ConfigError(f"{_SETTING}={function}: no such file; expected FILE.py:NAME or PACKAGE.MODULE:NAME")
        return path
    search: list[str] | None = [os.getcwd(), *sys.path]
    origin, name = None, ""
    for part in place.split(".") if place else ():
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, search)
        if spec is None:
            break
        origin, search = spec.origin, list(spec.submodule_search_locations or ())
    else:
        if origin and origin.endswith(".py"):
            return Path(origin)
    raise ConfigError(f"{_SETTING}={function}: no such module; expected FILE.py:NAME or PACKAGE.MODULE:NAME")
