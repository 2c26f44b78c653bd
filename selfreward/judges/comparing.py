"""A recipe's judge as one of two responses at a time: what decides between two models."""

from collections.abc import Collection
from dataclasses import replace

from selfreward.engines.protocol import Capability
from selfreward.judges import JudgeConfig
from selfreward.judges.expected import ExpectedJudge
from selfreward.judges.pairwise import PairwiseConfig
from selfreward.judges.protocol import Cost, Reader
from selfreward.judges.sampled import SampledConfig


def comparing(config: JudgeConfig, can: Collection[Capability]) -> JudgeConfig:
    """The judge as it is where it compares responses already; else the same model with the rubric ``pairwise``.

    A recipe's rubric and method for single responses say nothing of two. Where nobody says how a comparison is asked
    for, the letters' probabilities are read, or rationales written where the engine (``can``) gives no probabilities.
    """
    method = config.method
    if not isinstance(method, PairwiseConfig):
        method = PairwiseConfig()
        config = config.model_copy(update={"rubric": None, "method": method})
    if "verdict" in method.model_fields_set or ExpectedJudge.needs <= set(can):
        return config
    return config.model_copy(update={"method": method.model_copy(update={"verdict": SampledConfig()})})


def verdict_type(config: JudgeConfig) -> str:
    """How one comparison is asked for, as a report names it."""
    return _method(config).verdict.type


def verdict_cost(config: JudgeConfig, contests: int) -> Cost:
    """Of so many comparisons, each in both orders."""
    return replace(_method(config).verdict.cost([2] * contests), responses=2)


def reader_of(config: JudgeConfig, reasoning_tags: tuple[str, str]) -> Reader:
    """What reads a verdict on two responses."""
    return _method(config).verdict.reader(config.load_rubric(), reasoning_tags)


def _method(config: JudgeConfig) -> PairwiseConfig:
    assert isinstance(config.method, PairwiseConfig)  # comparing() comes first
    return config.method
