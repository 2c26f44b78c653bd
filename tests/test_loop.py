"""The loop on a tiny model: real tokenizer, engine, TRL and PEFT."""

from collections.abc import Callable
from pathlib import Path

import pytest

from selfreward.config import load_config
from selfreward.loop import run
from selfreward.store import RunStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(make_recipe: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """A finished run of two iterations."""
    return run(load_config(make_recipe(tmp_path_factory.mktemp("loop"))))


def test_first(finished: RunStore) -> None:
    assert finished.iterations() == [0, 1, 2]
