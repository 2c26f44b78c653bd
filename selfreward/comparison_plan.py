"""What training and comparing M_{t+1} with M_t would do and cost; where the judge chooses a checkpoint they are one."""

import math
from collections.abc import Iterator
from statistics import fmean

from selfreward import steps
from selfreward.config import RunConfig
from selfreward.judges.comparing import comparing, verdict_cost
from selfreward.records import EFTSeed
from selfreward.stage_plans import BYTES_A_TOKEN, StagePlan, costed, tokens
from selfreward.training.job import CANDIDATES


def training_and_comparing(
    config: RunConfig, eft: list[EFTSeed], answer: int, training: StagePlan
) -> Iterator[StagePlan]:
    """All candidates are compared with M_t where the judge chooses, and the one that is kept is not compared again.

    ``answer``: typical tokens of one; ``training``: the plan of the training by itself.
    """
    asked = steps.comparison_prompts(config)
    every = config.objective(1).candidate_steps
    if not asked:
        yield training
    elif every is None:
        yield training
        yield StagePlan(stage="compared_prompts", rows=len(asked), most_rows=len(asked))
        for stage in ("compared_before", "compared_after"):
            yield _answers(config, stage, asked, answer)
        yield _verdicts(config, "comparison", asked, answer, eft)
    else:
        candidates = max(1, math.ceil(training.training_steps / every))
        size = None if training.most_bytes is None else candidates * training.most_bytes
        yield training.model_copy(update={"stage": CANDIDATES, "most_bytes": size})
        yield StagePlan(stage="compared_prompts", rows=len(asked), most_rows=len(asked))
        yield _answers(config, "compared_before", asked, answer)
        yield _answers(config, "candidate_*", candidates * asked, answer)
        yield _verdicts(config, "candidate_*_comparison", candidates * asked, answer, eft)
        yield _for_nothing(training)
        yield _for_nothing(_answers(config, "compared_after", asked, answer))
        yield _for_nothing(_verdicts(config, "comparison", asked, answer, eft))


def _answers(config: RunConfig, stage: str, prompts: list[str], answer: int) -> StagePlan:
    most = len(prompts) * config.responses.max_tokens
    return StagePlan(
        stage=stage,
        rows=len(prompts),
        most_rows=len(prompts),
        tokens_read=sum(map(tokens, prompts)),
        tokens_written=len(prompts) * answer,
        most_tokens_written=most,
        most_bytes=most * BYTES_A_TOKEN,
    )


def _verdicts(config: RunConfig, stage: str, prompts: list[str], answer: int, eft: list[EFTSeed]) -> StagePlan:
    engine = (config.judge.model.engine if config.judge.model else None) or config.engine
    judge = comparing(config.judge, engine.capabilities())
    lengths = round(fmean(map(tokens, prompts))), answer
    return costed(stage, judge.optional_rubric(), verdict_cost(judge, len(prompts)), lengths, eft)


def _for_nothing(plan: StagePlan) -> StagePlan:
    """Rows that are there already."""
    free = ("tokens_read", "tokens_written", "most_tokens_written", "training_steps")
    return plan.model_copy(update=dict.fromkeys(free, 0))
