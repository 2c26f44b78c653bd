"""Whether the installed TRL has an objective; imports nothing of it."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from selfreward.errors import ConfigError
from selfreward.objectives import ObjectiveConfig

_HAS_ALL = "1.16"
"""A version of TRL that has every objective: what is experimental there may go in any later one."""


def check_installed(objective: ObjectiveConfig) -> None:
    """Raises ConfigError where TRL lacks it, with the version that has it."""
    found = find_spec("trl")
    assert found is not None  # a requirement of the package
    inner = objective.module.split(".")[1:]
    if not any(Path(root, *inner).exists() for root in found.submodule_search_locations or ()):
        raise ConfigError(
            f"train.type={objective.type}: the installed TRL {version('trl')} has no {objective.module}; TRL "
            f"{_HAS_ALL} has it (pip install 'trl=={_HAS_ALL}.*'), or use another train.type"
        )
