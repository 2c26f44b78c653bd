"""The child process that calls a user's function: ``python -m selfreward.judges.checking_child FD``."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
import numbers
import os
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

_SECONDS_BETWEEN_LOOKS = 1.0


class SetAside:
    """Takes what a user's code raises, whatever it is, so that it spoils no more than one call."""

    said = ""

    def __enter__(self) -> SetAside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is not None:
            self.said = f"{kind.__name__}: {error}"
        return isinstance(error, Exception)


def load(function: str) -> Callable[..., Any]:
    """The function that ``FILE.py:NAME`` or ``PACKAGE.MODULE:NAME`` names, where it takes what it will be given."""
    place, _, name = function.rpartition(":")
    if place.endswith(".py"):
        path = Path(place).resolve()
        sys.path.insert(0, str(path.parent))  # as when the file is run: it may import what stands beside it
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    found: Callable[..., Any] = getattr(module, name)
    inspect.signature(found).bind(prompt="", response="", reference=None)
    return found


def verdict(
    function: Callable[..., Any], prompt: str, response: str, reference: str | None
) -> tuple[float | None, str]:
    """The score, or why there is none."""
    with SetAside() as aside:
        value = function(prompt=prompt, response=response, reference=reference)
        value = value.item() if hasattr(value, "item") else value  # numpy's and torch's numbers
        if value is None:
            return None, "the function could not tell"
        if isinstance(value, numbers.Real) and math.isfinite(value):
            return float(value), ""
        return None, f"the function gave {str(value)[:100]!r}; expected a number, True, False or None"
    return None, _storable(aside.said[:500])


def _storable(text: str) -> str:
    """Half a surrogate pair is in no UTF-8 file."""
    return text.encode(errors="backslashreplace").decode()


def _end_with_parent(parent: int) -> None:
    """Also from the middle of a call that never ends."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def main(connection: Connection) -> None:
    """Until the parent is gone."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    with SetAside() as aside:
        function = load(connection.recv())
    connection.send(_storable(aside.said) or None)
    while not aside.said:
        try:
            asked = connection.recv()
        except EOFError:
            return
        connection.send(verdict(function, *asked))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
