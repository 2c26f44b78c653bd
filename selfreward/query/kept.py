"""What is kept in memory about iterations for as long as they stay as they are: manifests, and answers about them."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import MANIFEST, IterationStore
from selfreward.storage.manifest import Manifest
from selfreward.storage.run import RunStore

T = TypeVar("T")
K = TypeVar("K")
MOST_MANIFESTS, MOST_ANSWERS = 64, 256
_PUTTING = threading.Lock()


@dataclass(frozen=True)
class _Seen:
    signature: tuple[int, ...]
    """Of the file: a manifest is never written in place, so a changed one has another inode."""
    manifest: Manifest
    state: str


_seen: OrderedDict[Path, _Seen] = OrderedDict()
_answers: OrderedDict[tuple[Path, str], tuple[str, Any]] = OrderedDict()


def iteration(run: RunStore, t: int) -> IterationStore:
    """An iteration that was begun; its manifest is read again only where the file is another one.

    Raises:
        StoreError: it was not begun, or its manifest is damaged.
    """
    path = run.path / f"iter-{t:03d}"
    try:
        found = os.stat(path / MANIFEST)
    except OSError:
        return run.iteration(t)  # says what is wrong
    signature = (found.st_ino, found.st_mtime_ns, found.st_size)
    seen = _seen.get(path)
    if seen is None or seen.signature != signature:
        manifest = run.iteration(t).manifest
        seen = _Seen(signature, manifest, _state(path, manifest))
    _put(_seen, path, seen, MOST_MANIFESTS)
    return IterationStore(path, seen.manifest, inherited=t <= run.inherited_up_to)


def kept(it: IterationStore, what: str, make: Callable[[], T], *others: IterationStore) -> T:
    """What ``make`` gives, from before where neither the iteration nor the others have changed since."""
    key = (it.path, what)
    state = " ".join(state_of(one) for one in (it, *others))
    found = _answers.get(key)
    answer: T = found[1] if found is not None and found[0] == state else make()
    _put(_answers, key, (state, answer), MOST_ANSWERS)
    return answer


def state_of(it: IterationStore) -> str:
    """Hash of what an iteration has stored so far."""
    seen = _seen.get(it.path)
    return seen.state if seen is not None and seen.manifest is it.manifest else _state(it.path, it.manifest)


def _state(path: Path, manifest: Manifest) -> str:
    stages = manifest.stages.items()
    return value_hash([str(path.resolve()), [[name, s.finished, s.digest, s.summary] for name, s in stages]])


def _put(store: OrderedDict[K, T], key: K, value: T, most: int) -> None:
    with _PUTTING:
        store[key] = value
        store.move_to_end(key)
        while len(store) > most:
            store.popitem(last=False)
