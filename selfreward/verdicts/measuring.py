"""Judges measured on held-out rankings: a model, or every model of a run by the run's own recipe."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from selfreward.builtin_model import cache_root
from selfreward.config import RunConfig, make_config, parse_overrides
from selfreward.engines.server import ServerConfig
from selfreward.errors import ConfigError, StoreError
from selfreward.evaluation.report import JudgeReport, judge_report
from selfreward.progress import Reporter
from selfreward.records import Frozen
from selfreward.seeding.held_out import read_held_out
from selfreward.seeding.ranked import by_prompt
from selfreward.storage.catalogue import find_run
from selfreward.storage.durable import discard, value_hash
from selfreward.storage.run import RunStore
from selfreward.verdicts.judging import (
    HELD_OUT,
    OpenEngine,
    Who,
    judged,
    model_of_run,
    named_model,
    plain_config,
    trained_models,
)


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

    target: str
    """A run, or a model."""
    runs_dir: Path
    data: Path | None
    iterations: Sequence[int] = ()
    rubric: str | None = None
    methods: Sequence[str] = ()
    limit: int | None = None
    overrides: Sequence[str] = ()


def measure(wanted: Wanted, reporter: Reporter) -> JudgeEvaluation:
    """Put the held-out responses to each judge and hold what it says against people's rankings.

    Judgments are kept in the cache until all judges are done, so that the same command goes on where it stopped.

    Raises:
        SelfRewardError: the run, the model, the settings or the file cannot be used.
    """
    run = _run_named(wanted)
    configs = [_config(wanted, run, method) for method in wanted.methods or (None,)]
    data = _data(wanted, configs[0])
    limit = wanted.limit if wanted.limit is not None or wanted.data else configs[0].evaluation.judge_prompts
    held_out = read_held_out(data, limit, configs[0].seed)
    # One model after the other, each by every method: loading takes longer than asking in another way.
    each = [_judges(wanted, run, config) for config in configs]
    judges = [who for of_one_model in zip(*each, strict=True) for who in of_one_model]
    asked = [wanted.target, str(data.resolve()), [who.label for who in judges], wanted.methods, wanted.rubric]
    work = cache_root() / "eval" / value_hash(asked)[:16]
    reports = []
    with closing(OpenEngine(work / "engine", reporter.say)) as engine:
        for who in judges:
            rubric = who.config.judge.load_rubric()
            judgments = judged(who, held_out.rows, work, reporter, HELD_OUT, engine)
            reports.append(
                judge_report(
                    held_out.rows,
                    judgments,
                    judge=who.label,
                    method=who.config.judge.method.type,
                    rubric=rubric.label,
                    top=rubric.front.scale.max,
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


def _run_named(wanted: Wanted) -> RunStore | None:
    """The run of that name; None where the name is a model's.

    Raises:
        StoreError: it can be neither.
    """
    try:
        path = find_run(wanted.target, wanted.runs_dir)
    except StoreError as error:
        served = isinstance(plain_config(wanted.target, wanted.overrides).engine, ServerConfig)
        if served or Path(wanted.target).is_dir() or any(mark in wanted.target for mark in ":/"):
            return None
        way_out = "nor is it a model's: give one as builtin:NAME, a directory, or a Hub id (OWNER/NAME)"
        raise StoreError(f"{error}; {way_out}") from error
    return RunStore(path)


def _config(wanted: Wanted, run: RunStore | None, method: str | None) -> RunConfig:
    changes = [*wanted.overrides]
    if wanted.rubric is not None:
        changes.append(f"judge.rubric={wanted.rubric}")
    if method is not None:
        changes.append(f"judge.method.type={method}")
    if run is None:
        return plain_config(wanted.target, changes)
    # No pairs are made here, so what they ask of a judge is no matter.
    own = {**run.config().model_dump(mode="json"), "name": None}
    return make_config(own, {"pairs.min_readable": 1, **parse_overrides(changes)}, str(run.path))


def _judges(wanted: Wanted, run: RunStore | None, config: RunConfig) -> list[Who]:
    if run is None or config.judge.model is not None:
        if wanted.iterations:
            whose = "is a model" if run is None else f"is judged by {named_model(config).label} in every iteration"
            raise ConfigError(f"{wanted.target}: {whose}; leave out -i, which names a model of a run")
        return [named_model(config)]
    return [model_of_run(run, t, config) for t in wanted.iterations or sorted(trained_models(run)) or (0,)]


def _data(wanted: Wanted, config: RunConfig) -> Path:
    named = wanted.data or config.evaluation.judge_data
    if named is None:
        raise ConfigError(
            f"{wanted.target}: names no held-out rankings (evaluation.judge_data); give a file with --data, such as "
            "the FILE.heldout.jsonl of `selfreward seeds build-eft`"
        )
    return Path(named)
