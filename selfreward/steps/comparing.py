"""Whether an iteration improved its model: M_{t+1} against M_t on held-out prompts. It stops no other step."""

from collections.abc import Sequence
from pathlib import Path

from selfreward.config import RunConfig
from selfreward.engines.protocol import Asking
from selfreward.evaluation.comparison import Comparison, answer, comparison
from selfreward.evaluation.contests import Contest, contests, of_prompts
from selfreward.judges import JudgeConfig
from selfreward.judges.comparing import comparing, reader_of, verdict_type
from selfreward.records import Judgment, Prompt, Response, derive_seed, key_settings
from selfreward.seeding.prompt_file import read_prompts
from selfreward.session import Policy, Session, Stage, at_once, over
from selfreward.stages import comparing as stage
from selfreward.stages.responses import VERSION as RESPONSES_VERSION
from selfreward.stages.responses import generate_responses
from selfreward.stages.shard import Shard
from selfreward.steps.aside import drop, is_settled, run_aside
from selfreward.steps.judge import judge_of
from selfreward.steps.keys import engine_settings, made_from, model_inputs
from selfreward.steps.metrics import COMPARISON as JUDGMENTS
from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import IterationStore, StageKey, Stored
from selfreward.verdicts.comparing import COMPARED
from selfreward.verdicts.held_out_prompts import HeldOutPrompts, held_out_prompts
from selfreward.verdicts.judging import PROMPTS_A_SAVE

PROMPTS, BEFORE, AFTER = ("compared_prompts", "compared_before", "compared_after")
"""What is asked, and what M_t and M_{t+1} answer; the verdicts have the figures as their summary."""


def comparison_prompts(config: RunConfig) -> list[str]:
    """The held-out prompts that the recipe names, none where it names no file.

    Raises:
        SeedError: the file cannot be read, or has bad rows.
    """
    file = config.evaluation.prompts
    return [] if file is None else [row.text for row in read_prompts(Path(file))]


def comparing_judge(s: Session) -> JudgeConfig:
    """The run's judge, as it decides between two responses."""
    fixed = s.config.judge.model
    engine = s.engine_config if fixed is None else s.engine_config_of(fixed)
    return comparing(s.config.judge, engine.capabilities())


def compare_models(s: Session, it: IterationStore, before: Policy, after: Policy) -> None:
    """Put M_t and M_{t+1} against each other, where the recipe names held-out prompts. M_t judges, or the fixed judge.

    Finished iterations stay as they are, and in an unfinished one what was compared with other settings is compared
    again: evaluation never refuses to go on.
    """
    if is_settled(it):
        return
    found = held_out(s, it)
    if found is None or not found.prompts:
        for name in (PROMPTS, BEFORE, AFTER, JUDGMENTS):
            drop(it, name)
        if found is not None:
            s.reporter.say(f"{it.label} {JUDGMENTS}: {found.said}, so nothing is compared")
        return
    prompts = store_prompts(s, it, found)
    written = [write(s, it, name, policy, prompts) for name, policy in ((BEFORE, before), (AFTER, after))]
    pairs = contests(*(responses.records() for responses in written))
    judgments = decide(s, it, JUDGMENTS, before, prompts, pairs)
    if not judgments.entry.summary:
        report = _report(s, (before, after), found, pairs, judgments)
        it.summarise(JUDGMENTS, report.model_dump(mode="json"))
        s.reporter.say(f"{it.label} {JUDGMENTS}: {answer(report)}")


def held_out(s: Session, it: IterationStore) -> HeldOutPrompts | None:
    """The prompts that models of this iteration are compared on; None where the recipe names none."""
    path = s.config.evaluation.prompts
    return None if path is None else held_out_prompts(Path(path), s.store, it.manifest.iteration)


def prompt_inputs(found: HeldOutPrompts) -> dict[str, str]:
    """Their words, for a key."""
    return {"evaluation.prompts": value_hash([prompt.text for prompt in found.prompts])}


def judge_inputs(s: Session, policy: Policy) -> dict[str, str]:
    """Who decides between two responses, and how, for a key."""
    config = comparing_judge(s)
    who = judge_of(s, policy, config)
    # Under one hash: the recipe may have settings of a judge of single responses in their place.
    return {**who.inputs, "judge": value_hash([dict(who.settings), config.load_rubric().hash])}


def store_prompts(s: Session, it: IterationStore, found: HeldOutPrompts) -> list[Prompt]:
    """The prompts as a stage of the iteration."""
    key = StageKey(1, {}, prompt_inputs(found))
    drop(it, PROMPTS, unless=key)
    counts = found.left_out
    rows = len(found.prompts)
    s.run_stage(it, Stage(PROMPTS, Prompt, key, total=rows), at_once(lambda: Shard(found.prompts, rows, counts)))
    return found.prompts


def write(s: Session, it: IterationStore, name: str, policy: Policy, prompts: Sequence[Prompt]) -> Stored[Response]:
    """One response to every prompt, as the run's own are written. M_t's stand in the iteration before already."""
    config, tags = s.config.responses.model_copy(update={"n": 1}), s.config.model.reasoning_tags
    asked = {name: value for name, value in key_settings(config).items() if name != "n"}
    key = StageKey(
        RESPONSES_VERSION,
        {
            "seed": s.config.seed,
            "model": {"reasoning_tags": list(tags)},
            "responses": asked,
            **engine_settings(s),
        },
        {"model": policy.digest, **model_inputs(s), **made_from(it, PROMPTS)},
    )

    def answer_to(part: Sequence[Prompt], start: int) -> Asking[Shard[Response]]:
        return generate_responses(part, config, s.chat, policy.label, tags, derive_seed(s.config.seed, COMPARED, start))

    made = Stage(name, Response, key, total=len(prompts), may_be_empty=True)
    return run_aside(s, it, made, over(prompts, PROMPTS_A_SAVE, answer_to, lambda: s.engine(policy)))


def decide(
    s: Session, it: IterationStore, name: str, policy: Policy, prompts: Sequence[Prompt], pairs: Sequence[Contest]
) -> Stored[Judgment]:
    """The judge of the iteration, whose policy is M_t, on two models' responses, in both orders."""
    config, by_prompt = comparing_judge(s), of_prompts(pairs)
    who = judge_of(s, policy, config)
    reader = reader_of(config, who.reasoning_tags)
    shown = value_hash([[pair.first.id, pair.second.id] for pair in pairs])  # which have the texts in them
    key = StageKey(stage.VERSION, {}, {**judge_inputs(s, policy), **made_from(it, PROMPTS), "responses": shown})

    def verdicts(part: Sequence[Prompt], start: int) -> Asking[Shard[Judgment]]:
        seed = derive_seed(s.config.seed, COMPARED, "judgments", start)
        return stage.compare_responses(part, by_prompt, config, reader, who.listener(), who.label, seed)

    made = Stage(name, Judgment, key, total=len(prompts), may_be_empty=True)
    return run_aside(s, it, made, over(prompts, PROMPTS_A_SAVE, verdicts, who.engine))


def _report(
    s: Session,
    models: tuple[Policy, Policy],
    found: HeldOutPrompts,
    pairs: Sequence[Contest],
    judgments: Stored[Judgment],
) -> Comparison:
    config = comparing_judge(s)
    too_long = {prompt.id for prompt in found.prompts} - {pair.prompt_id for pair in pairs}
    return comparison(
        pairs,
        list(judgments.records()),
        models=(models[0].label, models[1].label),
        judge=judge_of(s, models[0], config).label,
        method=verdict_type(config),
        rubric=config.load_rubric().label,
        left_out={**found.left_out, **({"prompt_too_long": len(too_long)} if too_long else {})},
        seed=s.config.seed,
    )
