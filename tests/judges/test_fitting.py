"""Whether an engine can be asked for a verdict, said by the setting that asks."""

from unittest.mock import MagicMock

import pytest

from selfreward.engines.server import ServerConfig
from selfreward.engines.transformers import TransformersConfig
from selfreward.engines.vllm import VllmConfig
from selfreward.errors import EngineError
from selfreward.judges import JudgeConfig
from selfreward.judges.fitting import check_can, check_fits
from selfreward.meta_judge.settings import MetaJudgeConfig

TAGS = ("<think>", "</think>")


def engine(*can: str) -> MagicMock:
    made = MagicMock(type="some")
    made.capabilities.return_value = frozenset(can)
    return made


def test_what_is_lacking_is_said_with_the_way_out() -> None:
    config = JudgeConfig.model_validate({"method": "expected"})
    with pytest.raises(EngineError, match=r"judge\.method\.type=expected needs .* next_token, prefill, .*sampled"):
        check_fits(config, TAGS, engine("adapters"), "engine", None)
    check_fits(config, TAGS, engine("next_token", "prefill"), "engine", None)


def test_implicit_rewards_are_computed_beside_vllm_and_not_by_an_endpoint() -> None:
    config = JudgeConfig.model_validate({"method": "implicit"})
    for fits in (VllmConfig(), TransformersConfig()):
        check_fits(config, TAGS, fits, "engine", None)
    with pytest.raises(EngineError, match=r"type=implicit needs an engine with likelihood, which engine\.type=server"):
        check_fits(config, TAGS, ServerConfig(url="http://localhost:1/v1"), "engine", None)


def test_a_meta_judge_names_its_own_setting() -> None:
    reader = MetaJudgeConfig.model_validate({"verdict": "expected"}).reader(TAGS)
    asks = ("meta_judge.verdict.type", "expected")
    with pytest.raises(EngineError, match=r"engine\.type=some has not; use meta_judge\.verdict\.type=sampled"):
        check_can(reader, asks, engine("adapters"), "engine", None)
    check_can(reader, asks, engine("next_token", "prefill"), "engine", None)
