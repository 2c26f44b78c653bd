"""Whether what training asks for is installed; imports none of it."""

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from selfreward.errors import ConfigError
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.optimiser import LoraConfig

_HAS_ALL = "1.16"
"""A version of TRL that has every objective: what is experimental there may go in any later one."""


def check_installed(objectives: Sequence[ObjectiveConfig], lora: LoraConfig | None) -> None:
    """Raises ConfigError where TRL lacks an objective, with the version that has it, or bitsandbytes is missing."""
    if lora is not None and lora.load_in_4bit and find_spec("bitsandbytes") is None:
        raise ConfigError(
            "lora.load_in_4bit needs bitsandbytes, which is not installed: pip install 'selfreward[qlora]', or leave "
            "it out"
        )
    found = find_spec("trl")
    assert found is not None  # a requirement of the package
    for objective in objectives:
        file = Path(*objective.module.split(".")[1:]).with_suffix(".py")
        if any((Path(root) / file).exists() for root in found.submodule_search_locations or ()):
            continue
        raise ConfigError(
            f"train.type={objective.type}: the installed TRL {version('trl')} has no {objective.module}; TRL "
            f"{_HAS_ALL} has it (pip install 'trl=={_HAS_ALL}.*'), or use another train.type"
        )
