"""Two models of a run against each other on held-out prompts, by a judge of the user's choice."""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from selfreward.builtin_model import cache_root
from selfreward.config import RunConfig, make_config
from selfreward.engines.protocol import Asking
from selfreward.errors import ConfigError
from selfreward.evaluation.comparison import Comparison, comparison
from selfreward.evaluation.contests import Contest, contests, of_prompts
from selfreward.judges.comparing import comparing, reader_of, verdict_type
from selfreward.judges.fitting import check_fits
from selfreward.judges.protocol import Listener
from selfreward.progress import Reporter
from selfreward.records import Judgment, Prompt, Response, derive_seed, key_settings
from selfreward.session import Stage, over
from selfreward.setting_names import parse_overrides
from selfreward.stages import comparing as stage
from selfreward.stages.responses import VERSION as RESPONSES_VERSION
from selfreward.stages.responses import generate_responses
from selfreward.stages.shard import Shard
from selfreward.storage.catalogue import find_run
from selfreward.storage.durable import discard, value_hash
from selfreward.storage.iteration import StageKey
from selfreward.storage.run import RunStore
from selfreward.verdicts.held_out_prompts import held_out_prompts
from selfreward.verdicts.judging import (
    PROMPTS_A_SAVE,
    OpenEngine,
    judging_alone,
    model_of_run,
    named_model,
    who_inputs,
    who_settings,
)
from selfreward.verdicts.keeping import kept
from selfreward.verdicts.targets import Target
from selfreward.verdicts.who import Who

COMPARED = "comparison"
"""What random seeds of comparing are derived for. No iteration and no model is in it: equal models write the same."""
_OF_THE_RUN = re.compile(r"M(\d+)")


@dataclass(frozen=True)
class Match:
    """What was asked for; what is not said is as in the run, or the default."""

    target: Target
    """Its iterations are T and U, for M_T and M_U."""
    prompts: Path | None
    judge: str | None = None
    """A model's name, or M_k of the run."""
    samples: int = 1
    """Responses of each model to a prompt."""
    limit: int | None = None


@dataclass(frozen=True)
class _Desk:
    """Where the work is kept, and who is told."""

    work: Path
    reporter: Reporter
    engines: OpenEngine


def compare(match: Match, reporter: Reporter) -> Comparison:
    """Have both models answer, and the judge decide in both orders.

    What was made is kept in the cache until the comparison stands, so that the same command goes on where it stopped.

    Raises:
        SelfRewardError: the run, a model, the settings or the file cannot be used.
    """
    target = match.target
    run = RunStore(find_run(target.name, target.runs_dir))
    config = _config(match, run)
    first, second = (model_of_run(run, t, config) for t in target.iterations)
    judge = _judge(match, run, config)
    _check(first, judge)
    path = _prompt_file(match, config)
    found = held_out_prompts(path, run, max(target.iterations) - 1, limit=match.limit, seed=config.seed)
    if not found.prompts:
        raise ConfigError(f"{path}: {found.said}: nothing is left to compare models on; give other prompts")
    reporter.say(f"{second.label} against {first.label} on {found.said}, judged by {judge.label}")
    asked = [str(run.path.resolve()), target.iterations, str(path.resolve()), judge.label, match.samples]
    work = cache_root() / "eval" / value_hash(asked)[:16]
    with closing(OpenEngine(work / "engine", reporter.say)) as engines:
        desk = _Desk(work, reporter, engines)
        written = [_responses(who, found.prompts, match.samples, desk) for who in (first, second)]
        pairs = contests(*written)
        judgments = _judgments(judge, found.prompts, pairs, desk)
    too_long = {prompt.id for prompt in found.prompts} - {pair.prompt_id for pair in pairs}
    report = comparison(
        pairs,
        judgments,
        models=(first.label, second.label),
        judge=judge.label,
        method=verdict_type(judge.config.judge),
        rubric=judge.config.judge.load_rubric().label,
        left_out=found.left_out + Counter(prompt_too_long=len(too_long)),
        seed=config.seed,
    )
    discard(work)
    return report


def _config(match: Match, run: RunStore) -> RunConfig:
    """The run's recipe, whose judge compares, with what was said on top."""
    target = match.target
    plain = run.config().model_dump(mode="json")
    judge = {**plain["judge"]}
    if judge["method"]["type"] != "pairwise":
        judge |= {"method": {"type": "pairwise"}, "rubric": None}
    if match.judge is not None:  # as a whole: another model is not to answer through this one's engine
        judge["model"] = None if _OF_THE_RUN.fullmatch(match.judge) else {"name": match.judge}
    changes = parse_overrides(list(target.overrides))
    if target.rubric is not None:
        changes["judge.rubric"] = target.rubric
    made = make_config({**judging_alone(plain), "judge": judge}, changes, str(run.path))
    if not made.judge.method.compares:
        raise ConfigError(
            f"judge.method.type={made.judge.method.type}: judges one response, and two are compared here; leave it "
            "out, and say how a comparison is asked for with judge.method.verdict=expected or sampled"
        )
    return made


def _judge(match: Match, run: RunStore, config: RunConfig) -> Who:
    """Who decides: the model that was named, the recipe's fixed one, else M_T."""
    of_run = _OF_THE_RUN.fullmatch(match.judge or "")
    if of_run:
        who = model_of_run(run, int(of_run[1]), config)
    elif config.judge.model is not None:
        who = named_model(config)
    else:
        who = model_of_run(run, match.target.iterations[0], config)
    judge = comparing(config.judge, who.engine.capabilities())
    return replace(who, config=config.model_copy(update={"judge": judge}))


def _check(writer: Who, judge: Who) -> None:
    """Said before anything is written, not after."""
    writer.engine.check(writer.model, writer.setting)
    judge.engine.check(judge.model, judge.setting)
    check_fits(judge.config.judge, judge.model.reasoning_tags, judge.engine, judge.setting, judge.chat)


def _prompt_file(match: Match, config: RunConfig) -> Path:
    named = match.prompts or config.evaluation.prompts
    if named is None:
        raise ConfigError(
            f"{match.target.name}: names no held-out prompts (evaluation.prompts); give a file with --prompts, JSONL "
            'rows with "prompt" or text with one a line'
        )
    return Path(named)


def _responses(who: Who, prompts: Sequence[Prompt], samples: int, desk: _Desk) -> list[Response]:
    config, tags, chat = who.config.responses.model_copy(update={"n": samples}), who.model.reasoning_tags, who.chat
    assert chat is not None  # a model of a run is served here, and its tokenizer is here

    def answer(part: Sequence[Prompt], start: int) -> Asking[Shard[Response]]:
        return generate_responses(part, config, chat, who.label, tags, derive_seed(who.config.seed, COMPARED, start))

    key = StageKey(
        RESPONSES_VERSION,
        {"seed": who.config.seed, "responses": key_settings(config), **who_settings(who)},
        {**who_inputs(who), "label": who.label, "prompts": value_hash([prompt.text for prompt in prompts])},
    )
    made = Stage("responses", Response, key, total=len(prompts))
    work = over(prompts, PROMPTS_A_SAVE, answer, lambda: desk.engines.of(who))
    return kept(desk.work, made, f"prompts answered by {who.label}", desk.reporter, work)


def _judgments(who: Who, prompts: Sequence[Prompt], pairs: Sequence[Contest], desk: _Desk) -> list[Judgment]:
    config = who.config.judge
    reader, by_prompt = reader_of(config, who.model.reasoning_tags), of_prompts(pairs)
    opened = cache(lambda: desk.engines.of(who))

    def verdicts(part: Sequence[Prompt], start: int) -> Asking[Shard[Judgment]]:
        listener = Listener(opened().chat, opened().context)
        seed = derive_seed(who.config.seed, COMPARED, "judgments", start)
        return stage.compare_responses(part, by_prompt, config, reader, listener, who.label, seed)

    key = StageKey(
        stage.VERSION,
        {"seed": who.config.seed, "judge": key_settings(config), **who_settings(who)},
        {
            **who_inputs(who),
            "judge.rubric": config.load_rubric().hash,
            "prompts": value_hash([prompt.text for prompt in prompts]),
            "responses": value_hash([[p.first.id, p.second.id] for p in pairs]),
        },
    )
    made = Stage("judgments", Judgment, key, total=len(prompts))
    work = over(prompts, PROMPTS_A_SAVE, verdicts, opened)
    return kept(desk.work, made, f"prompts judged by {who.label}", desk.reporter, work)
