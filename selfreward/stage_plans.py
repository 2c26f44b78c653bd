"""What one stage would do and cost, and the estimate for judging, by whichever methods."""

from collections.abc import Sequence
from statistics import fmean

from selfreward.judges import JudgeConfig
from selfreward.judges.mix import MixConfig
from selfreward.judges.protocol import Cost
from selfreward.records import EFTSeed, Frozen
from selfreward.templates import Rubric

CHARACTERS_A_TOKEN = 4
BYTES_A_TOKEN = 6
"""On disk, of a generated token: its id and its share of the text, compressed."""
_BYTES_A_VERDICT = 200
"""Of one that has no words."""


class StagePlan(Frozen):
    """One stage of one iteration; maxima in ``most_*``."""

    stage: str
    rows: int
    most_rows: int
    tokens_read: int = 0
    tokens_written: int = 0
    most_tokens_written: int = 0
    training_steps: int = 0
    most_bytes: int | None = 0
    """On disk; None where the model's size is not known yet."""


def judging(
    stage: str, judge: JudgeConfig, sizes: Sequence[int], lengths: tuple[int, int], eft: Sequence[EFTSeed]
) -> list[StagePlan]:
    """Judging so many responses to each prompt; of a mix the stage of each part, and then its own.

    Args:
        sizes: responses to each prompt.
        lengths: typical tokens of a prompt and of a response.
        eft: whose rationales say how long a written verdict is.
    """
    method = judge.method
    if isinstance(method, MixConfig):
        parts = judge.parts().items()
        rows = sum(sizes)
        own = StagePlan(stage=stage, rows=rows, most_rows=rows, most_bytes=rows * _BYTES_A_VERDICT)
        found = [plan for name, part in parts for plan in judging(f"{stage}_{name}", part, sizes, lengths, eft)]
        return [*found, own]
    return [costed(stage, judge.optional_rubric(), method.cost(sizes), lengths, eft)]


def costed(
    stage: str, rubric: Rubric | None, cost: Cost, lengths: tuple[int, int], eft: Sequence[EFTSeed]
) -> StagePlan:
    """The plan of a stage that asks and writes so much by one rubric, or by none."""
    prompt, answer = lengths
    question = (tokens(rubric.body) if rubric else 0) + prompt + cost.responses * answer
    most = cost.written * cost.max_tokens * cost.tries
    return StagePlan(
        stage=stage,
        rows=cost.rows,
        most_rows=cost.rows,
        tokens_read=cost.questions * question,
        tokens_written=cost.written * min(cost.max_tokens, typical([seed.rationale for seed in eft])),
        most_tokens_written=most,
        most_bytes=(cost.rows - cost.written) * _BYTES_A_VERDICT + most * BYTES_A_TOKEN,
    )


def tokens(text: str) -> int:
    """Estimated from characters."""
    return max(1, round(len(text) / CHARACTERS_A_TOKEN))


def typical(texts: Sequence[str]) -> int:
    """Tokens of a text, by the mean of these."""
    return round(fmean([tokens(text) for text in texts] or [200]))
