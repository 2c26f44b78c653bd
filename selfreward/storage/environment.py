"""What a run was made with: versions, platform, GPU, git revision. Nothing secret, nothing of the user."""

import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    "selfreward",
    "torch",
    "transformers",
    "tokenizers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "pyarrow",
    "rapidfuzz",
    "vllm",
)


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change a result."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


@cache
def git_revision() -> str | None:
    """Commit of the clone that the code runs from, with ``+changes`` where it differs; None outside of a clone."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():
        return None
    try:
        revision = _git(top, "rev-parse", "HEAD")
        return revision + ("+changes" if _git(top, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def describe() -> dict[str, str]:
    """The environment as manifests keep it; asks torch for the GPU."""
    import torch

    found = {"python": platform.python_version(), "platform": platform.platform(), **package_versions()}
    if torch.cuda.is_available():
        found["gpu"] = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    revision = git_revision()
    return {**found, **({"git": revision} if revision else {})}


def _git(top: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(top), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
