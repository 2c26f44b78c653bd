"""Expected-score judging against three sampled rationales, on one engine and the same responses."""

from collections.abc import Callable
from typing import Any

from benchmarks import workload
from benchmarks.measured import Figure, Measured, Setting
from benchmarks.turns import as_json, ratio, take_turns, timed
from selfreward.engines.driver import work_through
from selfreward.engines.loading import torch_device
from selfreward.judges import JudgeConfig
from selfreward.judges.expected import ExpectedConfig
from selfreward.judges.sampled import SampledConfig

TITLE = "expected-score judging against three sampled rationales of up to 128 tokens"
_TARGET = 10.0
_SAMPLES, _MAX_TOKENS = 3, 128
_ROUNDS, _RESPONSES, _RESPONSES_ON_GPU = 3, 20, 340
"""A round's responses fill whole batches with rationales: 10 x 3 of 32 sequences; 85 x 3 of 256 on a GPU."""

_WARM_UP = 1000
"""Number of a round whose responses no other has."""


def measure(setting: Setting) -> Measured:
    """Each round has responses of its own, which both methods judge."""
    size = 2 if setting.tiny else _RESPONSES if torch_device().type == "cpu" else _RESPONSES_ON_GPU
    engine = workload.open_engine(setting)
    most = 6 if setting.tiny else _MAX_TOKENS
    sampled = JudgeConfig(method=SampledConfig(samples=_SAMPLES, max_tokens=most, retries=0))
    expected = JudgeConfig(method=ExpectedConfig(min_mass=0.0))
    read: list[bool] = []

    def by(config: JudgeConfig, note: Callable[[Any], object] = bool) -> Callable[[int], Any]:
        def judge(number: int) -> float:
            prompts, responses = workload.answered(size, number * size)
            pieces = workload.judging(engine, prompts, responses, config, size)
            for shard in work_through(engine, pieces):
                note(shard)
            return size

        return lambda number: timed(lambda: judge(number))

    first = by(expected)
    second = by(sampled, lambda shard: read.extend(judgment.score is not None for judgment in shard.records))
    first(_WARM_UP)  # loads the weights
    rounds = take_turns(first, second, setting, _ROUNDS)
    engine.close()
    times = ratio(rounds)
    figures = [
        Figure("responses judged in a second", times, "x", _TARGET),
        Figure("verdicts in a second, each rationale counted as one", times / _SAMPLES),
    ]
    details = {
        "engine": dict(setting.engine),
        "responses_a_round": size,
        "readable_rationales": round(sum(read) / len(read), 3),
        **as_json(rounds, "expected", "sampled"),
    }
    return Measured(figures, details)
