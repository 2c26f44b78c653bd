"""How the training process is started: by itself, or several of them through the user's own Accelerate config."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from selfreward.errors import ConfigError
from selfreward.objectives.batches import micro_batches
from selfreward.objectives.optimiser import OptimiserConfig

_NEED_ACCELERATORS = ("FSDP", "DEEPSPEED")
_STARTS_ONE = ("NO", "MULTI_CPU", False)
"""With these Accelerate starts one process (several on CPUs through MPI alone); unquoted, YAML reads NO as false."""


def command(module: str, out: Path, accelerate_config: str | None) -> list[str]:
    """What starts ``module`` on a job, once or in all processes.

    Raises:
        ConfigError: the config cannot be used.
    """
    if accelerate_config is None:
        return [sys.executable, "-m", module, str(out)]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", accelerate_config]
    if _read(accelerate_config).get("main_process_port") is None:
        launch += ["--main_process_port", "0"]  # a free one: two runs may train side by side
    return [*launch, "--module", module, str(out)]


def processes_of(accelerate_config: str | None) -> int:
    """How many processes train.

    Raises:
        ConfigError: the config cannot be used.
    """
    if accelerate_config is None:
        return 1
    found = _read(accelerate_config)
    where = f"accelerate_config: {accelerate_config}"
    processes = found.get("num_processes")
    if not isinstance(processes, int) or processes < 1:
        raise ConfigError(
            f"{where}: num_processes is {processes!r}; expected how many processes train "
            f"(`accelerate config --config_file {accelerate_config}` asks for all it needs)"
        )
    if found.get("num_machines", 1) != 1:
        raise ConfigError(
            f"{where}: num_machines is {found['num_machines']!r}, and training is started on this machine alone; set "
            "it to 1"
        )
    kind = found.get("distributed_type")
    if processes > 1 and kind in _STARTS_ONE:
        raise ConfigError(
            f"{where}: num_processes is {processes}, and with distributed_type {'NO' if kind is False else kind} "
            "`accelerate launch` starts one; take MULTI_GPU, FSDP or DEEPSPEED (MULTI_GPU with use_cpu: true for "
            "processes on CPUs), or set num_processes to 1"
        )
    if kind in _NEED_ACCELERATORS and found.get("use_cpu"):
        raise ConfigError(
            f"{where}: with use_cpu: true {kind} would quietly train as MULTI_GPU does; take MULTI_GPU for processes "
            "on CPUs, or set use_cpu to false"
        )
    return processes


def check_batches(accelerate_config: str | None, optimisers: Mapping[str, OptimiserConfig]) -> None:
    """Whether the processes can share the batches of each of these, which their sections name.

    Raises:
        ConfigError: they cannot, or the config cannot be used.
    """
    processes = processes_of(accelerate_config)
    for section, optimiser in optimisers.items():
        if optimiser.batch_tokens is not None:
            continue  # rows will say how many there are, and they can be shared
        try:
            micro_batches(optimiser, processes)
        except ValueError as error:
            raise ConfigError(f"{section}.{error} (accelerate_config: {accelerate_config})") from error


def is_first() -> bool:
    """Whether this process speaks and writes for all of them."""
    return os.environ.get("RANK", "0") == "0"


def take_device() -> None:
    """Let each process have an accelerator of its own, before anything is loaded."""
    if "LOCAL_RANK" not in os.environ:
        # One process trains on one GPU: with more in sight, TRL refuses to start.
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        return
    import torch

    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))


def _read(accelerate_config: str) -> Mapping[str, Any]:
    where = f"accelerate_config: {accelerate_config}"
    try:
        found = yaml.safe_load(Path(accelerate_config).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{where}: not YAML: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: expected what `accelerate config --config_file {accelerate_config}` writes")
    return found
