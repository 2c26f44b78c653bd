"""The wheel carries prompts, recipes and seeds, and a user without a clone can start from it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from selfreward import resources

ROOT = Path(__file__).resolve().parent.parent
PAGE = ("templates/base.html", "static/viewer.css", "static/viewer.js", "static/htmx.min.js", "static/htmx.LICENSE")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the way of the source archive, so that what that leaves out is missed here."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for entry in ("pyproject.toml", "README.md", "LICENSE", "selfreward", *resources.KINDS):
        copy = shutil.copytree if (ROOT / entry).is_dir() else shutil.copy
        copy(ROOT / entry, source / entry)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), cwd=source)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of a fresh environment with the wheel in it."""
    environment = tmp_path_factory.mktemp("user") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    # What selfreward depends on is lent from this environment rather than downloaded again. Only after
    # installing: pip would find this environment's selfreward there and replace that one.
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return environment / "bin"


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a command away from the clone and return its output, or fail with all it said."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_wheel_carries_every_resource(wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    for kind in resources.KINDS:
        expected = {f"selfreward/_data/{kind}/{name}" for name in resources.names(kind)}
        assert expected
        assert expected <= carried
    assert "selfreward/py.typed" in carried
    assert {f"selfreward/viewer/{name}" for name in PAGE} <= carried


def test_wheel_carries_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"selfreward", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}


def test_installed_package_is_the_one_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "from selfreward.resources import resource_dir; print(resource_dir('recipes'))"
    found = Path(run(str(installed / "python"), "-c", code, cwd=tmp_path).strip())
    assert found.is_relative_to(installed.parent)


def test_user_starts_without_a_clone(installed: Path, tmp_path: Path) -> None:
    selfreward = str(installed / "selfreward")
    run(selfreward, "init", "mine", cwd=tmp_path)
    assert (tmp_path / "mine" / "recipe.yaml").is_file()
    assert list((tmp_path / "mine").rglob("*.jsonl")), "init wrote no seeds to edit"
    run(selfreward, "run", "mine/recipe.yaml", "--dry-run", cwd=tmp_path)
