"""Training steps: M0 -> M1 on examples, M_t -> M_{t+1} on pairs or labelled responses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfreward.config import RunConfig
from selfreward.errors import StoreError
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.records import Example, Labelled, PreferencePair, derive_seed, key_settings
from selfreward.session import Policy, Session
from selfreward.steps.candidates import train_and_choose
from selfreward.steps.keys import made_from, model_inputs
from selfreward.steps.metrics import JUDGMENT_PAIRS
from selfreward.steps.reporting import warn_of_training
from selfreward.storage.iteration import IterationStore, StageKey, Stored, check_file
from selfreward.training.job import VERSION, TrainingJob

_HIGHEST_OF_WHOLE_MODELS = 2e-5
"""From this learning rate on, training all weights of a model is said to be unusual. Adapters begin there."""


def training_notices(config: RunConfig) -> list[str]:
    """What of the recipe is allowed and easily taken for something else."""
    return [*_rates_of_whole_models(config), *_prompts_that_choose(config)]


def _prompts_that_choose(config: RunConfig) -> list[str]:
    if all(objective.candidate_steps is None for objective in config.objectives):
        return []
    return [
        "evaluation.prompts choose the checkpoint (train.keep_best.by=judge), so the comparison of M_{t+1} with M_t on "
        "the same prompts looks a little better than it is; `selfreward eval compare` takes other ones"
    ]


def _rates_of_whole_models(config: RunConfig) -> list[str]:
    """The defaults of learning rates are those of an adapter."""
    if config.lora is not None:
        return []
    highest = {"train": max(_highest(objective.learning_rate) for objective in config.objectives)}
    if config.sft.enabled:
        highest["sft"] = config.sft.learning_rate
    return [
        f"{part}.learning_rate={rate:g} is an adapter's; all weights (lora: null) are usually trained at 1e-6 to 1e-5"
        for part, rate in sorted(highest.items())
        if rate >= _HIGHEST_OF_WHOLE_MODELS
    ]


def _highest(rate: float | tuple[float, ...]) -> float:
    return max(rate) if isinstance(rate, tuple) else rate


def train_sft(s: Session, it: IterationStore, data: Stored[Example]) -> Policy:
    """M0 -> M1."""
    key = {"sft": key_settings(s.config.sft)}
    training = _Training("sft", s.config.sft.objective(), key, {"examples": data})
    return _train(s, it, training, Policy.root("M0"))


def skip_sft(it: IterationStore) -> Policy:
    """M1 is M0.

    Raises:
        StoreError: an earlier start of the run trained M1.
    """
    trained = it.trained
    if trained is not None and trained.finished:
        raise StoreError(
            f"{it.path}: M1 was trained here, and the recipe now says sft.enabled: false or has no seeds. Go back to "
            "the old settings, or start a new run with --name NEW"
        )
    if trained is not None:
        it.forget(it.weights.name)  # it was stopped before there was anything
    return Policy.root("M1")


def train(
    s: Session,
    it: IterationStore,
    policy: Policy,
    data: Stored[PreferencePair] | Stored[Labelled],
    judgment_pairs: Stored[PreferencePair] | None = None,
) -> Policy:
    """M_t -> M_{t+1}, on what came of its responses and, where there are any, on pairs of its judgments."""
    objective = s.config.objective(it.manifest.iteration)
    key: dict[str, Any] = {"train": key_settings(objective)}
    sources: dict[str, Stored[Any]] = {s.config.pairs.stage: data}
    if judgment_pairs is not None and s.config.meta_judge is not None:
        # In the key, so that it cannot be switched off under a model that was trained with it.
        key["meta_judge"] = key_settings(s.config.meta_judge)
        sources[JUDGMENT_PAIRS] = judgment_pairs
    section = s.config.train_section(it.manifest.iteration)
    return _train(s, it, _Training(section, objective, key, sources), policy)


def trained_policy(it: IterationStore) -> Policy:
    """What a finished iteration made, as it is on disk; without training M1 is M0.

    Raises:
        StoreError: a file of it is missing or damaged.
    """
    label, entry = f"M{it.manifest.iteration + 1}", it.trained
    if entry is None:
        return Policy.root(label)
    for file in entry.files:
        check_file(it.path, file)
    return Policy(label, it.weights, entry.digest)


@dataclass(frozen=True)
class _Training:
    section: str
    objective: ObjectiveConfig
    key: Mapping[str, Any]
    sources: Mapping[str, Stored[Any]]
    """The stages that it learns from."""


def _train(s: Session, it: IterationStore, what: _Training, parent: Policy) -> Policy:
    settings = {
        "seed": s.config.seed,
        **what.key,
        "lora": _held(s.config.lora, parent),
    }
    key = StageKey(VERSION, settings, {"parent": parent.digest, **model_inputs(s), **made_from(it, *what.sources)})
    job = TrainingJob(
        section=what.section,
        objective=what.objective,
        model=s.model,
        parent=str(parent.weights) if parent.weights else None,
        lora=s.config.lora,
        data=tuple(str(path) for stored in what.sources.values() for path in stored.paths()),
        seed=derive_seed(s.config.seed, it.manifest.iteration, "training"),
        accelerate_config=s.config.accelerate_config,
        name=it.label,
        tracking=s.tracking if s.config.report_to else None,
    )
    before = it.trained
    if what.objective.candidate_steps is None:
        s.run_training(it, job, key)
    else:
        train_and_choose(s, it, parent, job, key)
    if before is None or not before.finished:
        warn_of_training(s, it)
    return trained_policy(it)


def _held(lora: LoraConfig | None, parent: Policy) -> dict[str, Any] | None:
    """For a key: an adapter has the shape of its parent's, while 4 bits are free in every training."""
    if lora is None:
        return None
    return {"load_in_4bit": lora.load_in_4bit} if parent.weights else key_settings(lora)
