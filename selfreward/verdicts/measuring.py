"""Judges measured on held-out rankings: a model, or every model of a run by the run's own recipe."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from selfreward.builtin_model import cache_root
from selfreward.config import RunConfig
from selfreward.errors import ConfigError
from selfreward.evaluation.report import JudgeReport, judge_report
from selfreward.progress import Reporter
from selfreward.records import Frozen
from selfreward.seeding.held_out import read_held_out
from selfreward.seeding.ranked import by_prompt
from selfreward.storage.durable import discard, value_hash
from selfreward.verdicts.judging import (
    HELD_OUT,
    OpenEngine,
    judged,
)
from selfreward.verdicts.targets import Target, config_of, judges_of, run_named


class JudgeEvaluation(Frozen):
    """One file of held-out rankings, and every judge that was measured on it."""

    data: str
    rows: int
    """Responses that were judged."""
    prompts: int
    left_out: dict[str, int]
    """Rows by reason."""
    judges: tuple[JudgeReport, ...]


@dataclass(frozen=True)
class Wanted:
    """What was asked for; what is not said is as in the run, or the default."""

    target: Target
    data: Path | None
    methods: Sequence[str] = ()
    limit: int | None = None


def measure(wanted: Wanted, reporter: Reporter) -> JudgeEvaluation:
    """Put the held-out responses to each judge and hold what it says against people's rankings.

    Judgments are kept in the cache until all judges are done, so that the same command goes on where it stopped.

    Raises:
        SelfRewardError: the run, the model, the settings or the file cannot be used.
    """
    target = wanted.target
    run = run_named(target)
    configs = [config_of(target, run, method) for method in wanted.methods or (None,)]
    data = _data(wanted, configs[0])
    limit = wanted.limit if wanted.limit is not None or wanted.data else configs[0].evaluation.judge_prompts
    held_out = read_held_out(data, limit, configs[0].seed)
    # One model after the other, each by every method: loading takes longer than asking in another way.
    each = [judges_of(target, run, config) for config in configs]
    judges = [who for of_one_model in zip(*each, strict=True) for who in of_one_model]
    asked = [target.name, str(data.resolve()), [who.label for who in judges], wanted.methods, target.rubric]
    work = cache_root() / "eval" / value_hash(asked)[:16]
    reports = []
    with closing(OpenEngine(work / "engine", reporter.say)) as engine:
        for who in judges:
            rubric = who.config.judge.optional_rubric()
            judgments = judged(who, held_out.rows, work, reporter, HELD_OUT, engine)
            reports.append(
                judge_report(
                    held_out.rows,
                    judgments,
                    judge=who.label,
                    method=who.config.judge.method.type,
                    rubric=rubric.label if rubric else "",
                    top=rubric.front.scale.max if rubric else None,
                    seed=who.config.seed,
                )
            )
    discard(work)
    return JudgeEvaluation(
        data=str(data),
        rows=len(held_out.rows),
        prompts=len(by_prompt(held_out.rows)),
        left_out=dict(held_out.left_out),
        judges=tuple(reports),
    )


def _data(wanted: Wanted, config: RunConfig) -> Path:
    named = wanted.data or config.evaluation.judge_data
    if named is None:
        raise ConfigError(
            f"{wanted.target.name}: names no held-out rankings (evaluation.judge_data); give a file with "
            "--data, such as the FILE.heldout.jsonl of `selfreward seeds build-eft`"
        )
    return Path(named)
