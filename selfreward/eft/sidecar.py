"""What an EFT file was built with, beside it, so that a rubric that changed since then is noticed."""

from pathlib import Path
from typing import Any

from selfreward.errors import StoreError
from selfreward.storage.durable import read_sealed, write_sealed
from selfreward.templates import Rubric


def sidecar_path(eft: Path) -> Path:
    """Where it stands."""
    return eft.with_name(f"{eft.name}.built.json")


def write_sidecar(eft: Path, rubric: Rubric, report: dict[str, Any]) -> None:
    """Say what the rows of ``eft`` were built with."""
    scale = rubric.front.scale
    said = {"name": rubric.front.name, "hash": rubric.hash, "label": rubric.label, "scale": [scale.min, scale.max]}
    write_sealed(sidecar_path(eft), {"rubric": said, "report": report})


def changed_since(eft: Path, rubric: Rubric) -> str | None:
    """What to say where the file was built with another rubric; None where it was not, or nobody knows."""
    path = sidecar_path(eft)
    if not path.exists():
        return None
    try:
        built = read_sealed(path)["rubric"]
        label, digest = str(built["label"]), str(built["hash"])
    except (StoreError, KeyError, TypeError):
        return f"{path}: cannot be read, so nobody knows whether {eft} was built with today's rubric"
    if digest == rubric.hash:
        return None
    return (
        f"{eft} was built with the rubric {label}, and judge.rubric is {rubric.label} now ({rubric.path}): M1 is "
        "taught judgments that were asked for in other words. Build it again with `selfreward seeds build-eft`, or go "
        "back to that rubric"
    )
