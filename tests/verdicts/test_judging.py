"""Who judges: a model that is named, a recipe's, a run's."""

import shutil
from pathlib import Path

import pytest

from selfreward.config import RunConfig
from selfreward.engines.transformers import TransformersConfig
from selfreward.errors import StoreError
from selfreward.models import ModelRef
from selfreward.storage.run import RunStore
from selfreward.verdicts.judging import model_of_run, named_model, plain_config


def test_a_named_model_with_the_engines_settings() -> None:
    who = named_model(plain_config("some/model", ["engine.type=transformers", "engine.batch_size=2"]))
    assert (who.label, who.model.name, who.weights) == ("some/model", "some/model", None)
    assert isinstance(who.engine, TransformersConfig)
    assert who.engine.batch_size == 2
    assert who.setting == "engine"


def test_a_named_model_with_an_engine_of_its_own() -> None:
    own = ["judge.model.engine.type=server", "judge.model.engine.url=http://127.0.0.1:8000/v1"]
    who = named_model(plain_config("some-model", own))
    assert (who.engine.type, who.setting, who.label) == ("server", "judge.model.engine", "some-model")
    assert who.chat is None


def test_a_recipes_judge_goes_before_its_root_model() -> None:
    settings = {"model": {"name": "root"}, "seeds": {"ift": "x"}, "engine": {"type": "transformers"}}
    assert named_model(RunConfig.model_validate(settings)).label == "root"
    judge = {"judge": {"model": {"name": "other"}}}
    assert named_model(RunConfig.model_validate({**settings, **judge})).label == "other"


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, finished_run: RunStore) -> RunConfig:
    """Of the hand-made run, whose root model is nowhere."""
    print_ = str(finished_run.iteration(0).manifest.model.get("fingerprint", "none"))
    monkeypatch.setattr(
        "selfreward.verdicts.judging.resolve_model", lambda name, revision: ModelRef(name, "", None, print_)
    )
    return plain_config(None, ["engine.type=transformers"])


def test_a_run_that_has_not_trained_it(finished_run: RunStore, config: RunConfig) -> None:
    with pytest.raises(StoreError, match=r"small: has no M9; it has M0, M1, M2, M3\. Name one with -i"):
        model_of_run(finished_run, 9, config)
    root = model_of_run(finished_run, 0, config)
    assert (root.label, root.weights, root.digest) == ("M0 of small", None, "root")


def test_nothing_trained_is_the_root_model(finished_run: RunStore, config: RunConfig) -> None:
    for directory in Path(finished_run.path).glob("iter-*"):
        shutil.rmtree(directory)
    assert model_of_run(finished_run, None, config).label == "M0 of small"
