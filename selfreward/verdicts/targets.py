"""Whom a command names to judge: a run, by its own recipe, or a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfreward.config import RunConfig, make_config
from selfreward.engines.server import ServerConfig
from selfreward.errors import ConfigError, StoreError
from selfreward.setting_names import parse_overrides
from selfreward.storage.catalogue import find_run
from selfreward.storage.run import RunStore
from selfreward.verdicts.judging import judging_alone, model_of_run, named_model, plain_config, trained_models
from selfreward.verdicts.who import Who


@dataclass(frozen=True)
class Target:
    """What is not said is as in the run, or the default."""

    name: str
    """A run's, or a model's."""
    runs_dir: Path
    iterations: Sequence[int] = ()
    rubric: str | None = None
    overrides: Sequence[str] = ()


def run_named(target: Target) -> RunStore | None:
    """The run of that name; None where the name is a model's.

    Raises:
        StoreError: it can be neither.
    """
    try:
        path = find_run(target.name, target.runs_dir)
    except StoreError as error:
        served = isinstance(plain_config(target.name, target.overrides).engine, ServerConfig)
        if served or Path(target.name).is_dir() or any(mark in target.name for mark in ":/"):
            return None
        way_out = "nor is it a model's: give one as builtin:NAME, a directory, or a Hub id (OWNER/NAME)"
        raise StoreError(f"{error}; {way_out}") from error
    return RunStore(path)


def config_of(target: Target, run: RunStore | None, method: str | None) -> RunConfig:
    """The run's recipe, or the defaults, with what was said on top."""
    changes = [*target.overrides]
    if target.rubric is not None:
        changes.append(f"judge.rubric={target.rubric}")
    if method is not None:
        changes.append(f"judge.method.type={method}")
    if run is None:
        return plain_config(target.name, changes)
    own = judging_alone(run.config().model_dump(mode="json"))
    return make_config(own, parse_overrides(changes), str(run.path))


def judges_of(target: Target, run: RunStore | None, config: RunConfig) -> list[Who]:
    """The models that judge: of a run those named, or all that it has trained."""
    judge = config.judge
    asks_policy = judge.asks("policy") or (judge.asks("model") and judge.model is None)
    if run is None or not asks_policy:
        who = named_model(config).alone(judge)
        if target.iterations:
            whose = "is a model" if run is None else f"is judged by {who.label} in every iteration"
            raise ConfigError(f"{target.name}: {whose}; leave out -i, which names a model of a run")
        return [who]
    return [model_of_run(run, t, config).alone(judge) for t in target.iterations or sorted(trained_models(run)) or (0,)]
