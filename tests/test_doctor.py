"""`doctor` sees what is missing, and writes nothing."""

import os
import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest

from selfreward import doctor
from selfreward.doctor import Check, examine


def check(name: str, runs_dir: Path) -> Check:
    return next(c for c in examine(runs_dir) if c.name == name)


def test_this_environment_has_what_is_needed(tmp_path: Path) -> None:
    found = examine(tmp_path / "not" / "there")
    assert [c for c in found if c.state == "bad"] == []
    assert {"Python", "torch", "trl", "device", "memory", "free disk", "builtin model"} <= {c.name for c in found}
    assert list(tmp_path.iterdir()) == []


def test_version_outside_of_the_range_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["trl>=0.1,<0.2", "peft>=0.1", 'vllm>=9; extra == "vllm"'])
    assert check("trl", tmp_path).state == "bad"
    assert check("trl", tmp_path).hint == "selfreward works with <0.2,>=0.1"
    assert check("peft", tmp_path).state == "ok"


def test_missing_package_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def without_trl(name: str) -> str:
        if name == "trl":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_trl)
    found = check("trl", tmp_path)
    assert (found.state, found.found) == ("bad", "not installed")
    assert found.hint.startswith("pip install 'trl")


def test_full_disk_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free=1 << 20))
    assert check("free disk", tmp_path).state == "note"


def test_little_memory_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_memory_limit", lambda: 1 << 30)
    found = check("memory", tmp_path)
    assert (found.state, found.found) == ("note", "1.0 GiB")


def test_runs_directory_that_cannot_be_written_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert check("runs directory", tmp_path).state == "bad"


def test_builtin_model_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFREWARD_CACHE", str(tmp_path))
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert check("builtin model", tmp_path).state == "note"
    assert check("device", tmp_path).state == "bad"
    directory = tmp_path / "models" / doctor.DIRECTORY_NAME
    directory.mkdir(parents=True)
    (directory / doctor.RECORD_NAME).write_text("{}", encoding="utf-8")
    assert check("builtin model", tmp_path).found == f"in {tmp_path}"
