"""RunConfig: one recipe, checked whole before anything runs. YAML and --set; loads no torch."""

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from selfreward.diagnosis.gates import GateLimits
from selfreward.engines import AutoConfig, EngineConfig
from selfreward.engines.loading import ModelConfig
from selfreward.errors import ConfigError
from selfreward.judges import JudgeConfig
from selfreward.judges.mix import MixConfig
from selfreward.judges.sampled import SampledConfig
from selfreward.meta_judge.settings import MetaJudgeConfig
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.fitting import misfit
from selfreward.objectives.optimiser import LoraConfig, OptimiserConfig
from selfreward.objectives.sft import SeedSFTConfig
from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.best_worst import BestWorstConfig
from selfreward.pair_rules.settings import JudgedSettings
from selfreward.recipe_paths import resolve_paths
from selfreward.records import Frozen, NotInKey
from selfreward.stages.prompt_generation import PromptsConfig
from selfreward.stages.responses import ResponsesConfig
from selfreward.tracking import Tracker

_LONGEST_NAME = 200
"""Bytes; file systems take 255."""


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
    report_to: Annotated[Literal["none"] | Tracker | tuple[Tracker, ...], NotInKey] = "none"
    """Experiment trackers that are told of every training step, and of every iteration's figures; one, or a list."""
    model: ModelConfig
    """The root model, M0."""
    seeds: SeedsConfig = SeedsConfig()
    """Seed examples."""
    engine: EngineConfig = AutoConfig()
    """What generates and judges."""
    lora: LoraConfig = LoraConfig()
    """The adapter that is carried through all iterations."""
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
    train: ObjectiveConfig = Field(default_factory=DPOConfig)
    """Training on them."""
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
        self._judge_fits()
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
        problem = misfit(self.train, self.pairs, self.judge, references=refs, responses=self.responses.n)
        if problem := problem or self.pairs.problem(self.iterations):
            raise ValueError(problem)
        for part in ("sft", "train"):
            optimiser: OptimiserConfig = getattr(self, part)
            micro = min(optimiser.micro_batch_size, optimiser.batch_size)
            if optimiser.batch_size % micro:
                raise ValueError(
                    f"{part}.micro_batch_size={micro} does not divide {part}.batch_size={optimiser.batch_size}"
                )
        return self

    def _judge_fits(self) -> None:
        """Whether the judge goes with the model that is trained and with the pairs."""
        judge, rule = self.judge, self.pairs
        policy = judge.asks("model") and judge.model is None
        if judge.model is not None and (judge.asks("policy") or not judge.asks("model")):
            raise ValueError(
                f"judge.model={judge.model.name}: judge.method.type={judge.method.type} does not ask it; leave it out"
            )
        if judge.asks("policy") and not (self.sft.enabled and (self.seeds.ift or self.seeds.eft)):
            raise ValueError(
                "judge.method.type=implicit: without SFT M1 is M0, and a policy that equals its reference has no "
                "rewards; give seeds.ift with sft.enabled, or judge in another way"
            )
        if rule.asks == "initial" and (judge.method.compares or isinstance(judge.method, MixConfig)):
            raise ValueError(
                f"pairs.type={rule.type} holds two models' scores against each other, and judge.method.type="
                f"{judge.method.type} gives each model's responses a scale of their own; use sampled or expected"
            )
        if rule.asks == "previous" and (judge.asks("policy") or not policy):
            why = "M0 has no reference" if judge.asks("policy") else "the judge is the same in every iteration"
            way_out = "let M_t judge by a rubric" if judge.model is None else "leave judge.model out"
            raise ValueError(
                f"pairs.type={rule.type} asks the model before what it thinks of the ranking, and {why}; {way_out}, or "
                "use another rule"
            )

    @property
    def trackers(self) -> tuple[Tracker, ...]:
        """Those of ``report_to``."""
        if isinstance(self.report_to, tuple):
            return tuple(dict.fromkeys(self.report_to))
        return () if self.report_to == "none" else (self.report_to,)

    @property
    def run_dir(self) -> Path:
        """The run's directory."""
        assert self.name is not None  # load_config and run() see to it
        return Path(self.runs_dir) / self.name

    def to_yaml(self) -> str:
        """The config with every default written out, as ``config.resolved.yaml`` keeps it."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


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
        _set(merged, path, value)
    _write_out_models(merged)
    try:
        config = RunConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(e, source) for e in error.errors())) from error
    if config.name is not None:
        _check_name(config.name, source)
    return config


def _check_name(name: str, source: str) -> None:
    if name in ("", ".", "..") or Path(name).name != name:
        raise ConfigError(f"{source}: name: {name!r} is a path; expected a plain name")
    if not name.isprintable() or len(name.encode(errors="replace")) > _LONGEST_NAME:
        raise ConfigError(f"{source}: name: {name!r} cannot be a directory's; expected a short, printable name")


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """``a.b: old -> new`` for every setting that differs."""
    lines = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += changed_settings(before, after, f"{prefix}{name}.")
        elif before != after:
            lines.append(f"{prefix}{name}: {before!r} -> {after!r}")
    return lines


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """``["a.b=1"]`` as ``{"a.b": 1}``."""
    return dict(_parse_override(text) for text in overrides)


def _parse_override(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {text}: expected NAME=VALUE, such as --set train.beta=0.2")
    try:
        return path.strip(), yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {text}: the value is not YAML: {error}") from error


def _write_out_models(data: dict[str, Any]) -> None:
    """``model: NAME`` as ``model: {name: NAME}``."""
    if isinstance(data.get("model"), str):
        data["model"] = {"name": data["model"]}
    for part in ("prompts", "judge"):
        settings = data.get(part)
        if isinstance(settings, dict) and isinstance(settings.get("model"), str):
            data[part] = {**settings, "model": {"name": settings["model"]}}


def _set(data: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    if path == "model" and isinstance(value, str):
        last, parents = "name", ["model"]
    for parent in parents:
        inner = data.get(parent)
        data[parent] = {**inner} if isinstance(inner, dict) else {}
        data = data[parent]
    if last == "type" and data.get("type", value) not in (value, "auto"):  # what ``auto`` has, all engines have
        data.clear()  # the settings of one type mean nothing to another
    data[last] = value


def _explain(error: Any, source: str) -> str:
    place = [str(part) for part in error["loc"]]
    where = ".".join(place)
    if error["type"] == "extra_forbidden":
        known = _settings_beside(place)
        if place[-1] in known:
            kind, name = place[-2], ".".join([*place[:-2], place[-1]])
            return f"{source}: {name}: no such setting with type: {kind}; set {'.'.join(place[:-2])}.type as well"
        close = difflib.get_close_matches(place[-1], known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        return f"{source}: {where}: no such setting; {hint}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{source}: {where + ': ' if where else ''}{message}"


def _settings_beside(place: Sequence[str]) -> list[str]:
    """Names of the settings in the section that an error's place is in."""
    sections: list[type[BaseModel]] = [RunConfig]
    for name in place[:-1]:
        inner = [f.annotation for s in sections for n, f in s.model_fields.items() if n == name]
        # A union's member is named by its tag in the place, which is no field: stay with the union's members.
        sections = [m for annotation in inner for m in models_in(annotation)] or sections
    return sorted({name for section in sections for name in section.model_fields})


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The config classes that a setting's type allows."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated):
        return [m for part in typing.get_args(annotation) for m in models_in(part)]
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return [annotation] if is_model else []
