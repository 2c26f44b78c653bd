"""What a run would do and cost, worked out without the model: rows, tokens, training steps, disk.

Tokens are estimated from characters, typical lengths from the seeds; maxima follow from the recipe.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from selfreward import steps
from selfreward.comparison_plan import training_and_comparing
from selfreward.config import RunConfig
from selfreward.judges.sampled import SampledConfig
from selfreward.model_size import root_model, trained_bytes
from selfreward.objectives.batches import examples_in
from selfreward.objectives.installed import check_installed
from selfreward.objectives.optimiser import OptimiserConfig
from selfreward.pair_rules.settings import JudgedSettings
from selfreward.records import EFTSeed, Frozen, IFTSeed, key_settings
from selfreward.seeding.ranked import by_prompt
from selfreward.setting_names import changed_settings
from selfreward.stage_plans import BYTES_A_TOKEN, CHARACTERS_A_TOKEN, StagePlan, costed, judging, tokens, typical
from selfreward.steps.seeds import teacher_of
from selfreward.storage.run import RUN, RunStore
from selfreward.templates import load_prompt_template
from selfreward.tracking import check_trackers
from selfreward.training.job import makes
from selfreward.training.launching import check_batches, processes_of

_REQUESTS_A_PROMPT = 2
"""Typically; the other half is filtered out."""


class Plan(Frozen):
    """A whole run."""

    name: str
    path: str
    model: str
    """Where the root model comes from."""
    iterations: int
    sft: tuple[StagePlan, ...]
    """Iteration 0."""
    self_reward: tuple[StagePlan, ...]
    """Each of the iterations after it."""
    finished: tuple[str, ...]
    """What the run has finished already."""
    notices: tuple[str, ...] = ()
    """What is worth knowing and does not stop the run."""

    @property
    def most_bytes(self) -> int | None:
        """Disk space for the whole run."""
        total = 0
        for stages, times in ((self.sft, 1), (self.self_reward, self.iterations)):
            for stage in stages:
                if stage.most_bytes is None:
                    return None
                total += times * stage.most_bytes
        return total


def make_plan(config: RunConfig) -> Plan:
    """The plan of a run; recipe, templates and seeds are checked on the way, and nothing is written.

    Raises:
        SelfRewardError: something that would stop the run.
    """
    ift, eft = steps.read_seeds(config)
    check_installed(config.objectives, config.lora)
    check_trackers(config.report_to)
    check_batches(config.accelerate_config, config.optimisers)
    config.judge.fingerprints()
    where, model = root_model(config.model)
    trained = trained_bytes(model, config.lora)
    return Plan(
        name=config.run_dir.name,
        path=str(config.run_dir),
        model=where,
        iterations=config.iterations,
        sft=tuple(_sft(config, ift, eft, trained)),
        self_reward=tuple(_self_reward(config, ift, eft, trained)) if config.iterations else (),
        finished=tuple(_finished(config.run_dir)),
        notices=(
            *steps.seed_notices(config),
            *steps.training_notices(config),
            *_not_in_every_iteration(config),
            *_other_settings(config),
        ),
    )


def _not_in_every_iteration(config: RunConfig) -> Iterator[str]:
    meta = config.meta_judge
    if meta is not None and not meta.holds_in(config.iterations):
        yield f"judgments are compared up to iteration {meta.last_iteration} only (meta_judge.last_iteration)"
    if len(config.objectives) > 1:
        each = ", ".join(f"{t}: {objective.type}" for t, objective in enumerate(config.objectives, 1))
        yield f"train has an objective for each iteration ({each}, which holds on); steps are those of the first"


def _other_settings(config: RunConfig) -> Iterator[str]:
    """What differs from the last start, which is refused where it had a part in finished work."""
    if not (config.run_dir / RUN).exists():
        return
    store = RunStore(config.run_dir)
    if not store.has_config():
        return
    changes = changed_settings(key_settings(store.config()), key_settings(config))
    if changes:
        yield (
            f"the run was last started with other settings ({'; '.join(changes)}); where finished work was made with "
            "the old ones, it stops and says so"
        )


def _sft(config: RunConfig, ift: list[IFTSeed], eft: list[EFTSeed], trained: int | None) -> list[StagePlan]:
    plans = [
        StagePlan(stage="seeds_ift", rows=len(ift), most_rows=len(ift)),
        StagePlan(stage="seeds_eft", rows=len(eft), most_rows=len(eft)),
    ]
    if not config.sft.enabled or not (ift or eft):
        return plans
    rubric = tokens(teacher_of(config.judge).load_rubric().body)
    sizes = [tokens("".join(m.content for m in seed.messages)) for seed in ift]
    sizes += [rubric + tokens(seed.instruction + seed.response + seed.rationale) for seed in eft]
    used = min(sum(sizes), config.sft.max_tokens or sum(sizes))
    rows = min(len(sizes), max(1, int(used / fmean(sizes))))
    examples = StagePlan(stage="examples", rows=rows, most_rows=len(sizes), most_bytes=used * BYTES_A_TOKEN)
    return [*plans, examples, _training(config, config.sft, rows, len(sizes), used, trained)]


def _self_reward(config: RunConfig, ift: list[IFTSeed], eft: list[EFTSeed], trained: int | None) -> list[StagePlan]:
    template = load_prompt_template(config.prompts.template)
    instructions = [tokens(seed.instruction) for seed in ift] or [50]
    answer = min(config.responses.max_tokens, typical([seed.messages[-1].content for seed in ift]))
    prompt = min(config.prompts.max_tokens, round(fmean(instructions)))
    count = steps.prompts_at_hand(config, ift)
    candidates = count * config.responses.n
    asked = _REQUESTS_A_PROMPT * count
    if config.prompts.file is not None or config.prompts.from_seeds:
        prompts = StagePlan(stage="prompts", rows=count, most_rows=count)
    else:
        shown = config.prompts.few_shot_seeds + config.prompts.few_shot_generated
        prompts = StagePlan(
            stage="prompts",
            rows=count,
            most_rows=count,
            tokens_read=asked * (tokens(template.body) + shown * prompt),
            tokens_written=asked * prompt,
            most_tokens_written=config.prompts.max_attempts * count * config.prompts.max_tokens,
            most_bytes=count * config.prompts.max_tokens * BYTES_A_TOKEN,
        )
    responses = StagePlan(
        stage="responses",
        rows=candidates,
        most_rows=candidates,
        tokens_read=candidates * prompt,
        tokens_written=candidates * answer,
        most_tokens_written=candidates * config.responses.max_tokens,
        most_bytes=candidates * config.responses.max_tokens * BYTES_A_TOKEN,
    )
    pairs = config.pairs.most_rows(count, config.responses.n)
    pair_bytes = pairs * 2 * config.responses.max_tokens * BYTES_A_TOKEN
    compared, judgment_pairs, judgment_tokens = _meta_judging(config, eft, count, pairs, (prompt, answer))
    rows = pairs + sum(stage.rows for stage in judgment_pairs)
    sides = 2 if config.pairs.makes == "pairs" else 1
    learned = pairs * sides * (prompt + answer) + judgment_tokens
    training = _training(config, config.objective(1), rows, rows, learned, trained)
    return [
        prompts,
        responses,
        *_judged(config, eft, responses, (prompt, answer)),
        *compared,
        *_measuring(config, eft),
        StagePlan(stage=config.pairs.stage, rows=pairs, most_rows=pairs, most_bytes=pair_bytes),
        *judgment_pairs,
        *training_and_comparing(config, eft, answer, training),
    ]


def _meta_judging(
    config: RunConfig, eft: list[EFTSeed], prompts: int, pairs: int, lengths: tuple[int, int]
) -> tuple[list[StagePlan], list[StagePlan], int]:
    """Comparing every two judgments of a response of each prompt in both orders, pairs of them, and those pairs' tokens
    in training; nothing where it is off."""
    meta, method = config.meta_judge, config.judge.method
    if meta is None or not isinstance(method, SampledConfig):
        return [], [], 0
    judgment = min(method.max_tokens, typical([seed.rationale for seed in eft]))
    task = tokens(config.judge.load_rubric().body) + sum(lengths)
    asked = prompts * method.samples * (method.samples - 1)
    cost = replace(meta.verdict.cost([asked]), responses=2)
    compared = costed("judgment_comparisons", meta.load_rubric(), cost, (task, judgment), eft)
    kept = min(prompts, meta.most_pairs(pairs))
    most_bytes = kept * 2 * (task + method.max_tokens) * BYTES_A_TOKEN
    made = StagePlan(stage="judgment_pairs", rows=kept, most_rows=kept, most_bytes=most_bytes)
    return [compared], [made], kept * 2 * (task + judgment)


def _judged(config: RunConfig, eft: list[EFTSeed], responses: StagePlan, lengths: tuple[int, int]) -> list[StagePlan]:
    """What the pair rule looks at: verdicts, and what it asks for besides."""
    if not isinstance(config.pairs, JudgedSettings):
        return []

    def judged(stage: str) -> list[StagePlan]:
        return judging(stage, config.judge, [config.responses.n] * (responses.rows // config.responses.n), lengths, eft)

    if config.pairs.asks == "initial":
        written = responses.model_copy(update={"stage": "initial_responses"})
        return [*judged("judgments"), written, *judged("initial_judgments")]
    if config.pairs.asks == "previous":
        return [*judged("judgments"), *judged("previous_judgments")]
    return judged("judgments")


def _measuring(config: RunConfig, eft: list[EFTSeed]) -> list[StagePlan]:
    rows = steps.heldout_rows(config)
    if not rows:
        return []
    sizes = [tokens(f"{row.prompt}{row.response}") for row in rows]
    stored = StagePlan(stage="heldout", rows=len(rows), most_rows=len(rows), most_bytes=sum(sizes) * CHARACTERS_A_TOKEN)
    groups = by_prompt(rows)
    prompt = round(fmean(tokens(group[0].prompt or "") for group in groups.values()))
    lengths = prompt, round(fmean(tokens(row.response) for row in rows))
    return [stored, *judging("heldout_judgments", config.judge, list(map(len, groups.values())), lengths, eft)]


def _training(
    config: RunConfig, objective: OptimiserConfig, rows: int, most_rows: int, tokens: int, most_bytes: int | None
) -> StagePlan:
    processes = processes_of(config.accelerate_config)
    in_a_pass = rows
    if objective.packed_length:
        in_a_pass = math.ceil(tokens / objective.packed_length)
    batch = examples_in(objective, tokens / max(1, rows), processes)
    return StagePlan(
        stage=makes(config.lora),
        rows=rows,
        most_rows=most_rows,
        tokens_read=round(tokens * objective.epochs),
        training_steps=math.ceil(math.ceil(in_a_pass / batch) * objective.epochs),
        most_bytes=most_bytes,
    )


def _finished(path: Path) -> Iterator[str]:
    if not (path / RUN).exists():
        return
    run = RunStore(path)
    for t in run.iterations():
        manifest = run.iteration(t).manifest
        stages = ", ".join(name for name, entry in manifest.stages.items() if entry.finished)
        if manifest.finished or stages:
            yield f"iteration {t}" + ("" if manifest.finished else f" ({stages})")
