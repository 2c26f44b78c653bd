import os
import subprocess
from pathlib import Path

import pytest

from selfreward.storage.environment import describe, git_revision, package_versions


def test_versions_of_what_can_change_a_result() -> None:
    import transformers

    assert package_versions()["transformers"] == transformers.__version__


def test_nothing_of_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    found = " ".join(describe().values())
    assert "hf_secret" not in found
    assert os.path.expanduser("~") not in found


def test_the_commit_of_the_clone_is_named() -> None:
    clone = Path(__file__).parents[2]
    if not (clone / ".git").exists():
        pytest.skip("the tests do not run in a clone")
    head = subprocess.run(["git", "-C", clone, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert (git_revision() or "").removesuffix("+changes") == head.stdout.strip()
