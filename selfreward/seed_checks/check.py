"""Whether a run would take seed files, and what of them it would train on."""

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selfreward.builtin_model import BUILTIN_NAME
from selfreward.config import RunConfig, make_config
from selfreward.eft.sidecar import changed_since
from selfreward.engines.chat import Chat
from selfreward.engines.loading import context_length, load_chat
from selfreward.errors import ConfigError, EngineError, ModelError, SeedError
from selfreward.judges import build_teachable
from selfreward.judges.fitting import check_fits
from selfreward.judges.protocol import Teachable
from selfreward.progress import Advance, Reporter
from selfreward.readings.scale import Scale
from selfreward.records import EFTSeed, IFTSeed
from selfreward.seed_checks import likeness, reading
from selfreward.seed_checks.advice import advice
from selfreward.seed_checks.lengths import AT_ONCE, measure
from selfreward.seed_checks.report import FileCheck, Kind, Scores, SeedCheck
from selfreward.setting_names import parse_overrides
from selfreward.stages.sft_examples import longest_example
from selfreward.steps.seeds import not_shown_by_eft, teacher_of, teaches_scores_alone
from selfreward.storage.catalogue import find_config
from selfreward.templates import Rubric
from selfreward.verdicts.judging import named_model


@dataclass(frozen=True)
class _Terms:
    """What files are checked against."""

    config: RunConfig
    rubric: Rubric
    judge: Teachable
    chat: Chat
    context: int
    reporter: Reporter | None

    @property
    def scale(self) -> Scale:
        return self.rubric.front.scale

    @property
    def near(self) -> float:
        return self.config.prompts.filters.max_rouge_l

    @property
    def limit_is(self) -> str:
        own = longest_example(self.context, self.config.sft) < self.context
        return "sft.max_length" if own else f"the context of {self.config.model.name}"


def files_and_config(
    files: Sequence[Path], recipe: str | None, overrides: Sequence[str], model: str | None
) -> tuple[list[tuple[Path, Kind | None]], RunConfig]:
    """What to check, and against what: a recipe, or a model with the default of every other setting.

    Raises:
        ConfigError: there is no such recipe, or it cannot work, or a model is named beside it.
        SeedError: no files are named, and the recipe names none.
    """
    if recipe is None:
        # A config without IFT seeds is refused; the files that are checked stand for them.
        data = {"model": model or BUILTIN_NAME, "seeds": {"ift": "-"}}
        config = make_config(data, parse_overrides(overrides), "selfreward seeds check")
    elif model is not None:
        raise ConfigError(f"--model {model}: the recipe has a model; use --set model={model}")
    else:
        config = find_config(recipe, overrides)
    named: list[tuple[Path, Kind | None]] = [(path, None) for path in files]
    if recipe is not None and not named:
        kinds: tuple[tuple[str | None, Kind], ...] = ((config.seeds.ift, "ift"), (config.seeds.eft, "eft"))
        named = [(Path(path), kind) for path, kind in kinds if path]
    if not named:
        raise SeedError("no seeds to check: name files, or a recipe with seeds.ift or seeds.eft")
    return named, config


def check_seeds(
    files: Sequence[tuple[Path, Kind | None]],
    config: RunConfig,
    held_out: Sequence[Path],
    reporter: Reporter | None = None,
) -> SeedCheck:
    """Check files, together the seeds of a run; a file whose kind is not given is recognised by its fields.

    Raises:
        SelfRewardError: the model, the rubric or a held-out file cannot be read.
    """
    teacher = teacher_of(config.judge)
    rubric = teacher.load_rubric()
    terms = _Terms(
        config,
        rubric,
        build_teachable(teacher, config.model.reasoning_tags),
        load_chat(config.model),
        context_length(config.model, config.engine.max_model_len),
        reporter,
    )
    others = [(str(path), reading.read_held_out(path, terms.scale)) for path in held_out]
    checked = [_check(path, kind or reading.recognise(path), terms, others) for path, kind in files]
    refusals = _together(checked, terms)
    return SeedCheck(
        model=config.model.name,
        context=terms.context,
        rubric=rubric.label,
        near_limit=terms.near,
        refused=bool(refusals) or any(file.refusals for file in checked),
        refusals=tuple(refusals),
        files=tuple(checked),
    )


def _check(
    path: Path, kind: Kind, terms: _Terms, held_out: Sequence[tuple[str, Sequence[likeness.Request]]]
) -> FileCheck:
    wrong = not_shown_by_eft(terms.config.judge, str(path)) if kind == "eft" else None
    seeds, refusals = reading.read(path, kind, terms.scale, score_only=teaches_scores_alone(terms.config))
    longest = longest_example(terms.context, terms.config.sft)
    with _progress(path, len(seeds), terms.reporter) as advance:
        lengths, unfit = measure(seeds, terms.judge, terms.chat, longest, terms.limit_is, advance)
    if wrong:
        refusals.insert(0, wrong)
    if terms.config.sft.enabled:
        refusals += [f"{path}:{line}: {reason}" for line, reason in unfit]
    found = FileCheck(
        path=str(path),
        kind=kind,
        rows=len(seeds),
        instructions=len({likeness.request(seed) for seed in seeds}),
        refusals=tuple(refusals),
        warnings=(),
        lengths=lengths,
        duplicates=likeness.within(str(path), seeds, terms.near),
        scores=_scores(seeds, terms.scale) if kind == "eft" and seeds else None,
        overlaps=tuple(likeness.between(file, asked, seeds, terms.near) for file, asked in held_out),
    )
    warnings = list(advice(found, terms.config.prompts.few_shot_seeds))
    if kind == "eft" and (changed := changed_since(path, terms.rubric)):
        warnings.append(changed)
    return found.model_copy(update={"warnings": tuple(warnings)})


@contextmanager
def _progress(path: Path, rows: int, reporter: Reporter | None) -> Iterator[Advance]:
    """What is done in a moment needs no bar."""
    if reporter is None or rows <= AT_ONCE:
        yield lambda completed: None
        return
    with reporter.stage(f"{path}: counting tokens", rows, 0) as advance:
        yield advance


def _together(files: Sequence[FileCheck], terms: _Terms) -> list[str]:
    """What a run would say of all files, and of the judge with this model."""
    refusals = []
    who = named_model(terms.config)
    try:
        chat = who.chat if terms.config.judge.model else terms.chat
        for judge in terms.config.judge.alone():
            if judge.asks("model") or judge.asks("policy"):
                check_fits(judge, terms.config.model.reasoning_tags, who.engine, who.setting, chat)
    except (EngineError, ModelError) as error:
        refusals.append(str(error))
    usable = sum(file.rows - len(file.lengths.left_out) for file in files if file.lengths)
    if terms.config.sft.enabled and not usable and all(file.rows for file in files):
        refusals.append("no row can be trained on: all are left out; the reasons are said with each file")
    return refusals


def _scores(seeds: Sequence[IFTSeed | EFTSeed], scale: Scale) -> Scores:
    rows = [seed for seed in seeds if isinstance(seed, EFTSeed)]
    counted = Counter(int(row.score) for row in rows)
    first: dict[tuple[str, str], float] = {}
    unlike = sum(first.setdefault((row.instruction, row.response), row.score) != row.score for row in rows)
    return Scores(
        counts={score: counted[score] for score in scale.scores},
        length_correlation=_correlation([row.score for row in rows], [math.log(len(row.response)) for row in rows]),
        contradictions=unlike,
    )


def _correlation(ones: Sequence[float], others: Sequence[float]) -> float | None:
    if len(set(ones)) < 2 or len(set(others)) < 2:
        return None
    return round(statistics.correlation(ones, others), 3)
