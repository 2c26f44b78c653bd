import os

import pytest

from selfreward.storage.environment import describe, package_versions


def test_versions_of_what_can_change_a_result() -> None:
    import transformers

    assert package_versions()["transformers"] == transformers.__version__


def test_nothing_of_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    found = " ".join(describe().values())
    assert "hf_secret" not in found
    assert os.path.expanduser("~") not in found
