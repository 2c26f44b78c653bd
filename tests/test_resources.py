"""Prompts, recipes and seeds are found in a clone and in a package; a wrong name says which there are."""

from pathlib import Path

import pytest

from selfreward import resources
from selfreward.errors import ConfigError
from selfreward.resources import KINDS, find, names, resource_dir


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with an empty package `selfreward` in it, taken for the installed one."""
    package = tmp_path / "selfreward"
    package.mkdir()
    monkeypatch.setattr(resources, "_PACKAGE", package)
    return tmp_path


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("text", encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_there_in_this_checkout(kind: resources.Kind) -> None:
    assert names(kind), f"{kind}/ is empty"


def test_clone_reads_the_top_level(installation: Path) -> None:
    expected = write(installation / "recipes" / "demo.yaml")
    assert find("recipes", "demo.yaml") == expected


def test_data_inside_the_package_comes_first(installation: Path) -> None:
    write(installation / "recipes" / "demo.yaml")
    inside = write(installation / "selfreward" / "_data" / "recipes" / "demo.yaml")
    assert find("recipes", "demo.yaml") == inside


def test_names_are_relative_sorted_and_deep(installation: Path) -> None:
    for name in ("judge/b.md", "judge/a.md", "x.md", "__pycache__/c.pyc", "judge/.DS_Store"):
        write(installation / "prompts" / name)
    assert names("prompts") == ["judge/a.md", "judge/b.md", "x.md"]


def test_unknown_name_says_what_there_is(installation: Path) -> None:
    write(installation / "recipes" / "demo.yaml")
    write(installation / "recipes" / "paper.yaml")
    with pytest.raises(ConfigError, match=r"Did you mean demo\.yaml\? There are: demo\.yaml, paper\.yaml"):
        find("recipes", "dmo.yaml")


@pytest.mark.parametrize("name", ["../secret.yaml", "/etc/hostname", "", "."])
def test_name_cannot_leave_the_directory(installation: Path, name: str) -> None:
    write(installation / "secret.yaml")
    write(installation / "recipes" / "demo.yaml")
    with pytest.raises(ConfigError, match="There are"):
        find("recipes", name)


def test_missing_directory_says_where_it_looked(installation: Path) -> None:
    with pytest.raises(ConfigError, match=r"seeds/ is missing.*_data"):
        resource_dir("seeds")


def test_unknown_kind_names_the_kinds() -> None:
    with pytest.raises(ConfigError, match="prompts, recipes, seeds"):
        resource_dir("rubrics")  # type: ignore[arg-type]
