"""How good the judge of an iteration is, measured on held-out rankings. It stands in no other step's way."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from selfreward.config import RunConfig
from selfreward.engines.protocol import Asking
from selfreward.evaluation.report import JudgeReport, in_a_sentence, judge_report
from selfreward.judges import JudgeConfig, build_judge
from selfreward.judges.mix import MixConfig
from selfreward.records import Judgment, Ranked, derive_seed
from selfreward.seeding.held_out import read_held_out
from selfreward.seeding.ranked import by_prompt
from selfreward.session import Policy, Session, Stage, at_once, over
from selfreward.stages.shard import Shard
from selfreward.steps.aside import drop, is_settled, run_aside
from selfreward.steps.judge import judge_of
from selfreward.steps.keys import made_from
from selfreward.steps.metrics import HELDOUT_JUDGMENTS as JUDGMENTS
from selfreward.steps.mix import mix_key, mixed_shard
from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import IterationStore, StageKey, Stored
from selfreward.verdicts.judging import HELD_OUT, PROMPTS_A_SAVE, candidates_of, verdicts_on

ROWS = "heldout"


def heldout_rows(config: RunConfig) -> list[Ranked]:
    """The held-out rows that the recipe names, none where it names no file.

    Raises:
        SeedError: the file cannot be read, or nothing in it can be judged.
    """
    data = config.evaluation
    return [] if data.judge_data is None else read_held_out(Path(data.judge_data), data.judge_prompts, config.seed).rows


def measure_judge(s: Session, it: IterationStore, policy: Policy) -> None:
    """Put the held-out rows to the judge of this iteration, where the recipe names any.

    Finished iterations stay as they are, and in an unfinished one what was measured with other settings is measured
    again: evaluation never refuses to go on.
    """
    if is_settled(it):
        return
    rows = heldout_rows(s.config)
    if not rows:
        for name in [name for name in it.manifest.stages if name.startswith(ROWS)]:
            drop(it, name)
        return
    key = StageKey(
        1,
        {"seed": s.config.seed, "evaluation": {"judge_prompts": s.config.evaluation.judge_prompts}},
        {"evaluation.judge_data": value_hash([row.model_dump(mode="json") for row in rows])},
    )
    drop(it, ROWS, unless=key)
    s.run_stage(it, Stage(ROWS, Ranked, key, total=len(rows)), at_once(lambda: Shard(rows, len(rows))))
    judgments = _judge(s, it, policy, rows)
    if not judgments.entry.summary:
        report = _report(s, policy, rows, judgments)
        it.summarise(JUDGMENTS, report.model_dump(mode="json"))
        s.reporter.say(f"{it.label} {JUDGMENTS}: {in_a_sentence(report)}")


def _report(s: Session, policy: Policy, rows: Sequence[Ranked], judgments: Stored[Judgment]) -> JudgeReport:
    config = s.config.judge
    rubric = config.optional_rubric()
    mixed = isinstance(config.method, MixConfig)
    return judge_report(
        rows,
        list(judgments.records()),
        judge=policy.label if mixed else judge_of(s, policy, config).label,
        method=config.method.type,
        rubric=rubric.label if rubric else "",
        top=rubric.front.scale.max if rubric else None,
        seed=s.config.seed,
    )


def _judge(s: Session, it: IterationStore, policy: Policy, rows: Sequence[Ranked]) -> Stored[Judgment]:
    config = s.config.judge
    if not isinstance(config.method, MixConfig):
        return _judge_alone(s, it, policy, rows, (config, JUDGMENTS))
    parts = {
        part: _judge_alone(s, it, policy, rows, (own, f"{JUDGMENTS}_{part}")) for part, own in config.parts().items()
    }
    key = mix_key(config.method, made_from(it, ROWS, *(f"{JUDGMENTS}_{part}" for part in parts)))
    drop(it, JUDGMENTS, unless=key)
    whole = partial(mixed_shard, config.method, parts, candidates_of(rows), policy.label)
    return s.run_stage(it, Stage(JUDGMENTS, Judgment, key, total=len(rows)), at_once(whole))


def _judge_alone(
    s: Session, it: IterationStore, policy: Policy, rows: Sequence[Ranked], how: tuple[JudgeConfig, str]
) -> Stored[Judgment]:
    config, name = how
    who = judge_of(s, policy, config)
    judge = build_judge(config, who.reasoning_tags)
    prompts = list(by_prompt(list(rows)).values())
    key = who.key(**made_from(it, ROWS))

    def verdicts(part: Sequence[Sequence[Ranked]], start: int) -> Asking[Shard[Judgment]]:
        return verdicts_on(part, judge, who.listener(), who.label, derive_seed(s.config.seed, HELD_OUT, start))

    made = Stage(name, Judgment, key, total=len(prompts))
    return run_aside(s, it, made, over(prompts, PROMPTS_A_SAVE, verdicts, who.engine))  # a fixed judge repeats itself
