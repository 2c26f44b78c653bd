"""Training steps: M0 -> M1 on examples, M_t -> M_{t+1} on pairs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from selfreward.errors import StoreError
from selfreward.objectives import ObjectiveConfig
from selfreward.records import Example, PreferencePair, derive_seed, key_settings
from selfreward.session import Policy, Session
from selfreward.stages.training import VERSION, TrainingJob
from selfreward.steps.keys import made_from, model_inputs
from selfreward.steps.metrics import JUDGMENT_PAIRS
from selfreward.storage.iteration import IterationStore, StageKey, Stored


def train_sft(s: Session, it: IterationStore, data: Stored[Example]) -> Policy:
    """M0 -> M1."""
    return _train(s, it, s.config.sft, Policy.root("M0"), {"examples": data})


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


def train_dpo(
    s: Session,
    it: IterationStore,
    policy: Policy,
    pairs: Stored[PreferencePair],
    judgment_pairs: Stored[PreferencePair] | None,
) -> Policy:
    """M_t -> M_{t+1}, on pairs of responses and, where there are any, of judgments."""
    if judgment_pairs is None or s.config.meta_judge is None:
        return _train(s, it, s.config.dpo, policy, {"pairs": pairs})
    # In the key, so that it cannot be switched off under a model that was trained with it.
    more = {"meta_judge": key_settings(s.config.meta_judge)}
    return _train(s, it, s.config.dpo, policy, {"pairs": pairs, JUDGMENT_PAIRS: judgment_pairs}, more)


def _train(
    s: Session,
    it: IterationStore,
    objective: ObjectiveConfig,
    parent: Policy,
    sources: Mapping[str, Stored[Any]],
    more_settings: Mapping[str, Any] = MappingProxyType({}),
) -> Policy:
    t = it.manifest.iteration
    job = TrainingJob(
        objective=objective,
        model=s.model,
        adapter=str(parent.adapter) if parent.adapter else None,
        lora=s.config.lora,
        data=tuple(str(path) for stored in sources.values() for path in stored.paths()),
        seed=derive_seed(s.config.seed, t, "training"),
    )
    settings = {
        "seed": s.config.seed,
        objective.type: key_settings(objective),
        **({} if parent.adapter else {"lora": key_settings(s.config.lora)}),
        **more_settings,
    }
    inputs = {"parent": parent.digest, **model_inputs(s), **made_from(it, *sources)}
    return s.run_training(it, job, StageKey(VERSION, settings, inputs))
