"""Answers about an iteration that are kept for as long as what it has stored is the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import IterationStore

T = TypeVar("T")
MOST_KEPT = 256
_kept: OrderedDict[tuple[Path, str], tuple[str, Any]] = OrderedDict()


def kept(it: IterationStore, what: str, make: Callable[[], T], *others: IterationStore) -> T:
    """What ``make`` gives, from before where neither the iteration nor the others have changed since."""
    key = (it.path.resolve(), what)
    state = value_hash([state_of(one) for one in (it, *others)])
    if key in _kept and _kept[key][0] == state:
        _kept.move_to_end(key)
        found: T = _kept[key][1]
        return found
    made = make()
    _kept[key] = (state, made)
    _kept.move_to_end(key)
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)
    return made


def state_of(it: IterationStore) -> str:
    """Hash of what an iteration has stored so far."""
    stages = it.manifest.stages.items()
    return value_hash([str(it.path.resolve()), [[name, s.finished, s.digest, s.summary] for name, s in stages]])
