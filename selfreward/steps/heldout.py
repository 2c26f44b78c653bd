"""How good the judge of an iteration is, measured on held-out rankings. It stands in no other step's way."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from selfreward.config import RunConfig
from selfreward.engines.protocol import Asking
from selfreward.evaluation.report import JudgeReport, in_a_sentence, judge_report
from selfreward.judges import build_judge
from selfreward.records import Judgment, Ranked, derive_seed
from selfreward.seeding.held_out import read_held_out
from selfreward.seeding.ranked import by_prompt
from selfreward.session import Policy, Session, Stage, at_once, over
from selfreward.stages.shard import Shard
from selfreward.steps.aside import drop, is_settled, made_before
from selfreward.steps.judge import judge_of
from selfreward.steps.keys import made_from
from selfreward.steps.metrics import HELDOUT_JUDGMENTS as JUDGMENTS
from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import IterationStore, StageKey, Stored
from selfreward.verdicts.judging import HELD_OUT, PROMPTS_A_SAVE, verdicts_on

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
        for name in (ROWS, JUDGMENTS):
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
        report = _report(s, judge_of(s, policy).label, rows, judgments)
        it.summarise(JUDGMENTS, report.model_dump(mode="json"))
        s.reporter.say(f"{it.label} {JUDGMENTS}: {in_a_sentence(report)}")


def _report(s: Session, label: str, rows: Sequence[Ranked], judgments: Stored[Judgment]) -> JudgeReport:
    rubric = s.config.judge.load_rubric()
    return judge_report(
        rows,
        list(judgments.records()),
        judge=label,
        method=s.config.judge.method.type,
        rubric=rubric.label,
        top=rubric.front.scale.max,
        seed=s.config.seed,
    )


def _judge(s: Session, it: IterationStore, policy: Policy, rows: Sequence[Ranked]) -> Stored[Judgment]:
    who = judge_of(s, policy)
    judge = build_judge(s.config.judge, who.reasoning_tags)
    prompts = list(by_prompt(list(rows)).values())
    key = who.key(**made_from(it, ROWS))

    def verdicts(part: Sequence[Sequence[Ranked]], start: int) -> Asking[Shard[Judgment]]:
        return verdicts_on(part, judge, who.engine(), who.label, derive_seed(s.config.seed, HELD_OUT, start))

    def work(stored: Stored[Judgment]) -> Iterator[Shard[Judgment]]:
        before = made_before(s, it, (JUDGMENTS,), key, Judgment)  # a fixed judge says the same again
        if before is not None and not stored.entry.files:
            yield Shard(list(before.records()), len(prompts))
        else:
            yield from over(prompts, PROMPTS_A_SAVE, verdicts, who.engine)(stored)

    drop(it, JUDGMENTS, unless=key)
    return s.run_stage(it, Stage(JUDGMENTS, Judgment, key, total=len(prompts)), work)
