"""A self-rewarding alignment engine: a language model learns from prompts, answers and judgments of its own."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfreward.api import open_run, run
    from selfreward.config import RunConfig, load_config

__all__ = ["RunConfig", "load_config", "open_run", "run"]

_HOME = {
    "RunConfig": "selfreward.config",
    "load_config": "selfreward.config",
    "open_run": "selfreward.api",
    "run": "selfreward.api",
}


def __getattr__(name: str) -> Any:
    """Load a name's module when it is first asked for, so that ``import selfreward`` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
