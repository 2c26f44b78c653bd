"""RunConfig: one recipe, checked whole before anything runs. YAML and --set; loads no torch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from selfreward.config_errors import explain
from selfreward.diagnosis.gates import GateLimits
from selfreward.engines import AutoConfig, EngineConfig
from selfreward.engines.loading import ModelConfig
from selfreward.errors import ConfigError
from selfreward.judges import JudgeConfig
from selfreward.judges.sampled import SampledConfig
from selfreward.meta_judge.settings import MetaJudgeConfig
from selfreward.objectives import ObjectiveConfig, TrainConfig
from selfreward.objectives.batches import micro_batches
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.fitting import choice_misfit, judge_misfit, misfit
from selfreward.objectives.optimiser import LoraConfig, OptimiserConfig
from selfreward.objectives.sft import SeedSFTConfig
from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.best_worst import BestWorstConfig
from selfreward.pair_rules.settings import JudgedSettings
from selfreward.recipe_paths import resolve_paths
from selfreward.records import Frozen, NotInKey
from selfreward.setting_names import parse_overrides, set_by_name
from selfreward.stages.prompt_generation import PromptsConfig
from selfreward.stages.responses import ResponsesConfig
from selfreward.tracking import Tracker

_LONGEST_NAME = 200
"""Bytes; file systems take 255."""


def _listed(trackers: Any) -> Any:
    if trackers in ("none", None):
        return ()
    return (trackers,) if isinstance(trackers, str) else trackers


class SeedsConfig(Frozen):
    """The user's own examples."""

    ift: str | None = None
    """JSONL with ``instruction`` and ``response``, or ``messages``."""
    eft: str | None = None
    """JSONL with ``instruction``, ``response``, ``rationale`` and ``score``; no rationale where judging is expected."""


class EvaluationConfig(Frozen):
    """What is measured beside the loop; it changes nothing that is trained."""

    judge_data: str | None = None
    """Held-out ranked responses, as from ``seeds build-eft``, to measure every iteration's judge on."""
    judge_prompts: int | None = Field(default=None, ge=1)
    """Measure on so many of their prompts, drawn by their words; on all if not set."""
    prompts: str | None = None
    """Held-out prompts (JSONL rows with ``prompt``, or text with one a line), on which every iteration's new model is
    put against the one before."""


class RunConfig(Frozen):
    """Everything a run depends on."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a key in the wrong place is refused, and must not be shown

    name: Annotated[str | None, NotInKey] = None
    """Name of the run's directory; the recipe's file name where not set."""
    description: Annotated[str | None, NotInKey] = None
    """What the recipe is for, and what it is not; said at the end of a run."""
    runs_dir: Annotated[str, NotInKey] = "runs"
    """Where run directories are."""
    seed: int = 0
    """From which every other random seed is derived."""
    iterations: Annotated[int, NotInKey] = Field(default=3, ge=0)
    """Self-reward iterations; 0 does the SFT step only."""
    shard_size: Annotated[int, NotInKey] = Field(default=256, ge=1)
    """Prompts that a stage works on between two saves; what a crash can lose."""
    report_to: Annotated[tuple[Tracker, ...], BeforeValidator(_listed), NotInKey] = ()
    """Experiment trackers that are told of every training step, and of every iteration's figures; one alone may be
    given by its name, and `none` is none."""
    model: ModelConfig
    """The root model, M0."""
    seeds: SeedsConfig = SeedsConfig()
    """Seed examples."""
    engine: EngineConfig = AutoConfig()
    """What generates and judges."""
    accelerate_config: Annotated[str | None, NotInKey] = None
    """File that `accelerate config` writes: training is started through it, in several processes (DDP, FSDP, DeepSpeed
    ZeRO); in one where not set."""
    lora: LoraConfig | None = LoraConfig()
    """The adapter that is carried through all iterations; null trains all weights, and every iteration makes a whole
    model."""
    sft: SeedSFTConfig = SeedSFTConfig()
    """Iteration 0."""
    prompts: PromptsConfig = PromptsConfig()
    """New prompts."""
    responses: ResponsesConfig = ResponsesConfig()
    """Candidate responses."""
    judge: JudgeConfig = JudgeConfig()
    """LLM-as-a-Judge."""
    meta_judge: MetaJudgeConfig | None = None
    """LLM-as-a-Meta-Judge."""
    pairs: PairRuleConfig = Field(default_factory=BestWorstConfig)
    """What of the responses is trained on: preference pairs, or single responses."""
    train: TrainConfig = Field(default_factory=DPOConfig)
    """Training on them; a list has an objective for each iteration, of which the last holds on."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How good the judge is, and whether an iteration improved its model."""
    stop_if: GateLimits = GateLimits()
    """Figures of an iteration at which the run stops, with everything kept. `selfreward diagnose` shows all of them."""
    warn_if: GateLimits = GateLimits()
    """The same, where the run says so and goes on."""

    @model_validator(mode="after")
    def _fits_together(self) -> "RunConfig":
        if self.prompts.file is None and self.seeds.ift is None:
            raise ValueError(
                "new prompts are written after examples, and there are none: set seeds.ift or prompts.file"
            )
        method = self.judge.method
        verdicts = method.samples if isinstance(method, SampledConfig) else 1
        if isinstance(self.pairs, JudgedSettings) and self.pairs.min_readable > verdicts:
            raise ValueError(
                f"pairs.min_readable={self.pairs.min_readable}, but judge.method gives {verdicts} a response"
            )
        if "adapters" not in self.engine.capabilities():
            raise ValueError(
                f"engine.type={self.engine.type} answers as one fixed model and cannot become M1, M2, …: give it to "
                "prompts.model.engine or judge.model.engine, and the policy an engine of its own"
            )
        judged = isinstance(self.pairs, JudgedSettings)
        of_pairs = judged and self.pairs.makes == "pairs"
        if self.meta_judge is not None and (problem := self.meta_judge.problem(self.judge, of_pairs)):
            raise ValueError(problem)
        for gates in ("stop_if", "warn_if"):
            measured, makes_pairs = self.evaluation.judge_data is not None, self.pairs.makes == "pairs"
            on_a_scale = not method.compares and method.usual_rubric is not None
            if problem := getattr(self, gates).problem(measured, on_a_scale, makes_pairs, judged):
                raise ValueError(f"{gates}.{problem}")
        refs = self.prompts.from_seeds or self.prompts.file is not None
        for where, objective in self._trainings():
            problem = misfit(where, objective, self.pairs, references=refs)
            asked, adapter = self.evaluation.prompts is not None, self.lora is not None
            problem = problem or choice_misfit(where, objective, prompts=asked, adapter=adapter)
            if problem := problem or _uneven_batches(where, objective):
                raise ValueError(problem)
        sft = self.sft.enabled and bool(self.seeds.ift or self.seeds.eft)
        if problem := judge_misfit(self.judge, self.pairs, sft=sft, responses=self.responses.n):
            raise ValueError(problem)
        if problem := _uneven_batches("sft", self.sft) or self.pairs.problem(self.iterations):
            raise ValueError(problem)
        return self

    def _trainings(self) -> Iterator[tuple[str, ObjectiveConfig]]:
        """Every objective of ``train``, and what it is called."""
        if isinstance(self.train, tuple):
            yield from ((f"train.{place}", objective) for place, objective in enumerate(self.train))
        else:
            yield "train", self.train

    @property
    def optimisers(self) -> dict[str, OptimiserConfig]:
        """Of all trainings, by the sections of their settings."""
        return {"sft": self.sft, **dict(self._trainings())}

    @property
    def objectives(self) -> tuple[ObjectiveConfig, ...]:
        """Of the iterations 1, 2, …; the last one holds on."""
        return tuple(objective for _, objective in self._trainings())

    def objective(self, iteration: int) -> ObjectiveConfig:
        """What trains in an iteration (1, 2, …), with its own values."""
        objectives = self.objectives
        return objectives[min(iteration, len(objectives)) - 1].at(iteration)

    def train_section(self, iteration: int) -> str:
        """What that objective's settings stand in, as ``--set`` names it: ``train``, or one of a list."""
        sections = [section for section, _ in self._trainings()]
        return sections[min(iteration, len(sections)) - 1]

    @property
    def run_dir(self) -> Path:
        """The run's directory."""
        assert self.name is not None  # load_config and run() see to it
        return Path(self.runs_dir) / self.name

    def to_yaml(self) -> str:
        """The config with every default written out, as ``config.resolved.yaml`` keeps it."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _uneven_batches(part: str, optimiser: OptimiserConfig) -> str | None:
    try:
        if optimiser.batch_tokens is None:
            micro_batches(optimiser, processes=1)
    except ValueError as error:
        return f"{part}.{error}"
    return None


def load_config(
    recipe: Path, overrides: Sequence[str] = (), *, name: str | None = None, iterations: int | None = None
) -> RunConfig:
    """A recipe with ``a.b=value`` overrides on top; values are YAML.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or impossible; all of them are listed.
    """
    try:
        data = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{recipe}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2024-13-01
        raise ConfigError(f"{recipe}: not YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{recipe}: nested too deeply for a recipe") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{recipe}: expected settings such as `model: …`, found {type(data).__name__}")
    resolve_paths(data, recipe.parent)
    changes = parse_overrides(overrides)
    if name is not None:
        changes["name"] = name
    if iterations is not None:
        changes["iterations"] = iterations
    config = make_config(data, changes, str(recipe))
    return config if config.name is not None else config.model_copy(update={"name": recipe.stem})


def make_config(data: Mapping[str, Any], changes: Mapping[str, Any], source: str) -> RunConfig:
    """A config from plain data with dotted changes on top; ``source`` is named in errors."""
    merged: dict[str, Any] = {**data}
    _write_out_models(merged)
    # A part's type comes before its other settings, in whatever order they were given.
    for path, value in sorted(changes.items(), key=lambda change: not change[0].endswith(".type")):
        set_by_name(merged, path, value)
    _write_out_models(merged)
    try:
        config = RunConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(e, source, RunConfig) for e in error.errors())) from error
    if config.name is not None:
        _check_name(config.name, source)
    return config


def _check_name(name: str, source: str) -> None:
    if name in ("", ".", "..") or Path(name).name != name:
        raise ConfigError(f"{source}: name: {name!r} is a path; expected a plain name")
    if not name.isprintable() or len(name.encode(errors="replace")) > _LONGEST_NAME:
        raise ConfigError(f"{source}: name: {name!r} cannot be a directory's; expected a short, printable name")


def _write_out_models(data: dict[str, Any]) -> None:
    """``model: NAME`` as ``model: {name: NAME}``."""
    if isinstance(data.get("model"), str):
        data["model"] = {"name": data["model"]}
    for part in ("prompts", "judge"):
        settings = data.get(part)
        if isinstance(settings, dict) and isinstance(settings.get("model"), str):
            data[part] = {**settings, "model": {"name": settings["model"]}}
