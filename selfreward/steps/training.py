"""Training steps: M0 -> M1 on examples, M_t -> M_{t+1} on pairs or labelled responses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from selfreward.errors import StoreError
from selfreward.objectives import ObjectiveConfig
from selfreward.records import Example, Labelled, PreferencePair, derive_seed, key_settings
from selfreward.session import Policy, Session
from selfreward.steps.keys import made_from, model_inputs
from selfreward.steps.metrics import JUDGMENT_PAIRS
from selfreward.steps.reporting import warn_of_training
from selfreward.storage.iteration import IterationStore, StageKey, Stored, check_file
from selfreward.training.job import VERSION, TrainingJob


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
    trained = it.stage("adapter")
    if trained is not None and trained.finished:
        raise StoreError(
            f"{it.path}: M1 was trained here, and the recipe now says sft.enabled: false or has no seeds. Go back to "
            "the old settings, or start a new run with --name NEW"
        )
    if trained is not None:
        it.forget("adapter")  # it was stopped before there was anything
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
    return _train(s, it, _Training("train", objective, key, sources), policy)


def trained_policy(it: IterationStore) -> Policy:
    """What a finished iteration made, as it is on disk; without training M1 is M0.

    Raises:
        StoreError: a file of it is missing or damaged.
    """
    label, entry = f"M{it.manifest.iteration + 1}", it.stage("adapter")
    if entry is None:
        return Policy.root(label)
    for file in entry.files:
        check_file(it.path, file)
    return Policy(label, it.path / "adapter", entry.digest)


@dataclass(frozen=True)
class _Training:
    section: Literal["sft", "train"]
    objective: ObjectiveConfig
    key: Mapping[str, Any]
    sources: Mapping[str, Stored[Any]]
    """The stages that it learns from."""


def _train(s: Session, it: IterationStore, what: _Training, parent: Policy) -> Policy:
    settings = {
        "seed": s.config.seed,
        **what.key,
        # A parent's adapter has its shape; how the root model is held is free in every training.
        "lora": {"load_in_4bit": s.config.lora.load_in_4bit} if parent.adapter else key_settings(s.config.lora),
    }
    key = StageKey(VERSION, settings, {"parent": parent.digest, **model_inputs(s), **made_from(it, *what.sources)})
    job = TrainingJob(
        section=what.section,
        objective=what.objective,
        model=s.model,
        adapter=str(parent.adapter) if parent.adapter else None,
        lora=s.config.lora,
        data=tuple(str(path) for stored in what.sources.values() for path in stored.paths()),
        seed=derive_seed(s.config.seed, it.manifest.iteration, "training"),
        accelerate_config=s.config.accelerate_config,
        name=it.label,
        tracking=s.tracking if s.config.report_to else None,
    )
    before = it.stage("adapter")
    trained = s.run_training(it, job, key)
    if before is None or not before.finished:
        warn_of_training(s, it)
    return trained
