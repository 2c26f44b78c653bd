"""Iteration 0's data: the seeds, and the examples made of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from selfreward.config import RunConfig
from selfreward.eft.sidecar import changed_since
from selfreward.errors import ConfigError, SeedError
from selfreward.judges import JudgeConfig, build_teachable
from selfreward.judges.ifeval import check_instructions, instructions_of
from selfreward.records import EFTSeed, Example, IFTSeed, Record, derive_seed
from selfreward.seeding.draws import plain
from selfreward.seeding.own_format import read_eft, read_ift
from selfreward.seeding.prompt_file import read_prompts
from selfreward.session import Session, Stage, at_once
from selfreward.stages import sft_examples
from selfreward.stages.prompt_generation import single_turns
from selfreward.stages.shard import Shard
from selfreward.steps.heldout import heldout_rows
from selfreward.steps.keys import made_from, model_inputs, rubric_inputs
from selfreward.storage.durable import file_hash
from selfreward.storage.iteration import IterationStore, StageKey, Stored

R = TypeVar("R", bound=Record)


def read_seeds(config: RunConfig) -> tuple[list[IFTSeed], list[EFTSeed]]:
    """Both seed files, checked.

    Raises:
        SeedError: with the bad rows of both.
        ConfigError: EFT seeds and a rubric that they do not show, or no references where they are asked for.
        StageError: prompts are to come from seeds, and none is one.
    """
    config.judge.rubrics()  # those that no seed shows are checked too
    scale = teacher_of(config.judge).load_rubric().front.scale
    if config.seeds.eft and (wrong := not_shown_by_eft(config.judge, config.seeds.eft)):
        raise ConfigError(f"seeds.eft: {wrong}")
    if asks := config.judge.needs_references():
        _check_references(config, asks)
    _check_answers(config)
    errors: list[str] = []

    def read(path: str | None, reader: Callable[[Path], list[R]]) -> list[R]:
        try:
            return reader(Path(path)) if path else []
        except SeedError as error:
            errors.append(str(error))
            return []

    ift = read(config.seeds.ift, read_ift)
    eft = read(config.seeds.eft, lambda path: read_eft(path, scale, score_only=teaches_scores_alone(config)))
    if errors:
        raise SeedError("\n".join(errors))
    if config.prompts.from_seeds:
        single_turns(ift)
    return ift, eft


def teacher_of(judge: JudgeConfig) -> JudgeConfig:
    """The judge whose words EFT seeds teach; the default one where they are refused anyway."""
    return judge.taught() or JudgeConfig()


def _check_references(config: RunConfig, asks: str) -> None:
    checks = config.judge.asks_ifeval
    rows = '{"prompt": …, "instruction_id_list": …, "kwargs": …}' if checks else '{"prompt": …, "reference": …}'
    if config.prompts.file is None:
        raise ConfigError(f"{asks}: give prompts.file, with rows of {rows}, or judge in another way")
    found = list(enumerate(read_prompts(Path(config.prompts.file)), 1))
    without = [number for number, row in found if row.reference is None]
    if without:
        raise ConfigError(
            f"{config.prompts.file}: {len(without)} prompts have no reference, the first of them prompt {without[0]}; "
            f"{asks}. Rows are {rows}"
        )
    if checks:
        for place, rubric in config.judge.rubrics().items():
            if rubric.needs_reference:
                raise ConfigError(
                    f"{place}: {rubric.path} grades against reference answers, and {asks}; drop one of both"
                )
        check_instructions(row.reference for _, row in found if row.reference is not None)
    if config.evaluation.judge_data is not None:
        raise ConfigError(f"evaluation.judge_data: held-out rankings have no references, and {asks}; leave it out")


def _check_answers(config: RunConfig) -> None:
    """Raises ConfigError where references are taken for answers, and a file of prompts has none of that kind."""
    if config.prompts.file is None:
        return
    rubrics = [rubric.path for rubric in config.judge.rubrics().values() if rubric.needs_reference]
    if config.pairs.type != "spin" and not rubrics:
        return
    asks = "pairs.type=spin has them chosen" if config.pairs.type == "spin" else f"{rubrics[0]} grades against them"
    references = [row.reference for row in read_prompts(Path(config.prompts.file)) if row.reference is not None]
    if not references or any(map(instructions_of, references)):
        found = "has IFEval's instructions, which are no answers" if references else "has no reference answers"
        raise ConfigError(
            f'{config.prompts.file}: {found}, and {asks}; rows are {{"prompt": …, "reference": …}}, or use another '
            "pairs.type, rubric or file"
        )


def prompts_at_hand(config: RunConfig, ift: Sequence[IFTSeed]) -> int:
    """How many prompts the first iteration has, at most.

    Raises:
        ConfigError: a file of prompts is too short for the run.
    """
    if config.prompts.from_seeds:
        return min(config.prompts.count, len(single_turns(ift)))
    if config.prompts.file is None:
        return config.prompts.count
    rows = len(read_prompts(Path(config.prompts.file)))
    if rows <= (config.iterations - 1) * config.prompts.count:
        raise ConfigError(
            f"{config.prompts.file}: {rows} prompts are too few for {config.iterations} iterations "
            f"of prompts.count={config.prompts.count}: add prompts, lower prompts.count, or ask for less with -n"
        )
    return min(config.prompts.count, rows)


def not_shown_by_eft(judge: JudgeConfig, path: str) -> str | None:
    """Why EFT seeds do not show how this judge judges; None where they do."""
    taught = judge.taught()
    if taught is None:
        return (
            f"{path} teaches a judge that writes scores by a rubric, and judge.method.type={judge.method.type} has "
            "none; leave seeds.eft out, or use sampled or expected (a part of a mix will do)"
        )
    rubric = taught.load_rubric()
    if rubric.front.aspects:
        asks = "for aspects"
    elif len(rubric.response_inputs) > 1:
        asks = "which of two responses is better"
    elif rubric.needs_reference:
        asks = "for a comparison with a reference answer"
    else:
        return None
    return (
        f"{path} has one score a response, and the rubric {rubric.path} asks {asks}; leave seeds.eft out, or use a "
        "rubric with one score"
    )


def seed_notices(config: RunConfig) -> list[str]:
    """What is worth saying of the seed files before a run, and does not stop it."""
    notices = []
    if config.seeds.eft and (said := changed_since(Path(config.seeds.eft), teacher_of(config.judge).load_rubric())):
        notices.append(f"seeds.eft: {said}")
    if config.sft.enabled and (shared := _trained_and_held_out(config)):
        notices.append(
            f"evaluation.judge_data: {shared} of its prompts are among the seeds, so the judge is measured on "
            "what it is trained on; take them out of either"
        )
    return notices


def _trained_and_held_out(config: RunConfig) -> int:
    """Held-out prompts that the seeds ask for in the same words, whatever their case and spaces."""
    held_out = {plain(row.prompt or "") for row in heldout_rows(config)}
    asked = {plain(seed.instruction) for seeds in (read_seeds(config) if held_out else ()) for seed in seeds}
    return len(held_out & asked)


def teaches_scores_alone(config: RunConfig) -> bool:
    """Whether EFT rows need no rationale, because judging writes none."""
    return teacher_of(config.judge).method.type == "expected"


def store_seeds(s: Session, it: IterationStore) -> tuple[list[IFTSeed], list[EFTSeed]]:
    """Seeds, kept in the run so that every prompt can be walked back to what bred it."""
    ift, eft = read_seeds(s.config)
    _store_seeds(s, it, "seeds_ift", ift, IFTSeed, s.config.seeds.ift)
    _store_seeds(s, it, "seeds_eft", eft, EFTSeed, s.config.seeds.eft)
    return ift, eft


def _store_seeds(
    s: Session, it: IterationStore, name: str, rows: Sequence[R], record: type[R], path: str | None
) -> None:
    s.run_stage(
        it,
        Stage(
            name,
            record,
            StageKey(
                version=1,
                settings={},
                inputs={name.replace("_", "."): file_hash(Path(path)) if path else "none"},
            ),
            total=len(rows),
            may_be_empty=True,
        ),
        at_once(lambda: Shard(list(rows), len(rows))),
    )


def build_examples(s: Session, it: IterationStore, ift: Sequence[IFTSeed], eft: Sequence[EFTSeed]) -> Stored[Example]:
    """SFT examples from both kinds of seeds."""
    config = s.config
    seed = derive_seed(config.seed, 0, "examples")
    teacher = teacher_of(config.judge)
    judge = build_teachable(teacher, config.model.reasoning_tags)
    stored = s.run_stage(
        it,
        Stage(
            "examples",
            Example,
            StageKey(
                version=sft_examples.VERSION,
                settings={
                    "seed": config.seed,
                    "judge": {"method": {"type": teacher.method.type}},
                    "engine": {"max_model_len": config.engine.max_model_len},
                    "sft": {"max_length": config.sft.max_length, "max_tokens": config.sft.max_tokens},
                },
                inputs={**model_inputs(s), **rubric_inputs(teacher), **made_from(it, "seeds_ift", "seeds_eft")},
            ),
            total=len(ift) + len(eft),
        ),
        at_once(lambda: sft_examples.build_examples(ift, eft, judge, s.chat, s.context, config.sft, seed)),
    )
    left_out = {reason: n for reason, n in stored.entry.counts.items() if reason.startswith("drop.") and n}
    if left_out:
        reasons = ", ".join(f"{reason.removeprefix('drop.')}: {n}" for reason, n in left_out.items())
        s.reporter.say(f"{it.label} examples: {stored.entry.rows} of {len(ift) + len(eft)} seeds are used ({reasons})")
    return stored
