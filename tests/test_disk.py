"""A full or read-only disk: a clear error, everything finished still verifies, and the same command goes on later."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selfreward.config import load_config
from selfreward.errors import StoreError, TrainingError
from selfreward.loop import run
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system of 48 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def _remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def test_a_full_disk_and_then_a_larger_one(make_recipe: Callable[..., Path], small_disk: Path, tmp_path: Path) -> None:
    config = load_config(make_recipe(tmp_path, runs_dir=str(small_disk), iterations=1))
    rows_before = 0
    stopped_in = set()
    messages = []
    for size in ("48k", "160k", "208k", "256k", "320k"):
        _remount(small_disk, f"size={size}")
        try:
            run(config)
        except (StoreError, TrainingError) as error:
            messages.append(str(error))
            assert verify(config.run_dir) == []
            stages = {
                n: s for t in RunStore(config.run_dir).iterations() for n, s in _stages(config.run_dir, t).items()
            }
            rows = sum(stage.rows for stage in stages.values())
            assert rows >= rows_before
            rows_before = rows
            stopped_in.add(type(error))
    assert [m for m in messages if "No space left on device" not in m] == []
    assert stopped_in == {StoreError, TrainingError}
    _remount(small_disk, "size=64m")
    run(config)
    assert verify(config.run_dir) == []


def test_a_directory_that_cannot_be_written(make_recipe: Callable[..., Path], small_disk: Path, tmp_path: Path) -> None:
    config = load_config(make_recipe(tmp_path, runs_dir=str(small_disk), iterations=0))
    _remount(small_disk, "ro")
    with pytest.raises(StoreError, match="Read-only file system"):
        run(config)
    _remount(small_disk, "rw,size=64m")
    run(config)
    _remount(small_disk, "ro")
    with pytest.raises(StoreError, match="Read-only file system"):
        run(config)
    assert verify(config.run_dir) == []


def _stages(run_dir: Path, number: int) -> dict[str, object]:
    return dict(RunStore(run_dir).iteration(number).manifest.stages)
