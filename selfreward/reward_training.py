"""A reward model of a run's pairs, for the judge that reads one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfreward.errors import ConfigError, StoreError
from selfreward.merging import base_model, front_matter, refuse_to_overwrite, root_of, trained_weights
from selfreward.objectives.optimiser import LoraConfig
from selfreward.objectives.reward import RewardConfig
from selfreward.records import PreferencePair, derive_seed, key_settings
from selfreward.setting_names import parse_overrides
from selfreward.storage.durable import TEMPORARY, discard, value_hash
from selfreward.storage.iteration import check_file
from selfreward.storage.run import RunStore
from selfreward.training.job import REWARD_MODEL, TrainingJob, TrainingResult
from selfreward.training.process import OnStep, Say, train


def read_settings(overrides: Sequence[str]) -> RewardConfig:
    """The objective with ``name=value`` settings.

    Raises:
        ConfigError: a setting is unknown or impossible.
    """
    changes: Mapping[str, Any] = parse_overrides(overrides)
    try:
        return RewardConfig.model_validate(changes)
    except ValidationError as error:
        known = ", ".join(name for name in RewardConfig.model_fields if name != "type")
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"--set: {faults}. Settings here: {known}") from error


def train_reward(
    run: RunStore, t: int, out: Path, objective: RewardConfig, on_step: OnStep, say: Say
) -> TrainingResult:
    """Train M_t, with a head of one output, on the pairs of iteration ``t``; ``out`` is a model by itself.

    What was cut off goes on from its last checkpoint, beside ``out``.

    Raises:
        StoreError: the iteration has no pairs, something is damaged, or ``out`` is there already.
        TrainingError: training failed.
    """
    config, it = run.config(), run.iteration(t)
    pairs = it.stage("pairs")
    if pairs is None or not pairs.finished:
        raise StoreError(f"{it.path}: has no pairs to learn from; go on with the run, or name another with -i")
    for file in pairs.files:
        check_file(it.path, file)
    refuse_to_overwrite(out)
    before = run.iteration(t - 1)
    scratch = out.with_name(f"{TEMPORARY}{out.name}")
    objective = objective.at(1)
    lora = config.lora or LoraConfig()  # enough for a head that scores, whatever the policy's training takes
    parent = "root" if before.trained is None else before.trained.digest
    inputs = [pairs.digest, parent, it.manifest.model["fingerprint"]]
    key = value_hash([key_settings(objective), key_settings(lora), config.seed, *inputs])
    job = TrainingJob(
        section="",
        objective=objective,
        model=root_of(config, it),
        parent=None if before.trained is None else str(trained_weights(before)),
        lora=lora,
        data=tuple(map(str, it.stored("pairs", PreferencePair).paths())),
        seed=derive_seed(config.seed, t, "reward training"),
    )
    result = train(job, key, scratch, on_step, say)
    (scratch / REWARD_MODEL / "README.md").write_text(
        f"""{front_matter(config, "text-classification")}
# A reward model of a self-rewarding run

M{t} of the run `{config.name}` (root model {base_model(config)}) with one output, trained on {result.counts["rows"]}
pairs that the run made itself: it repeats what their judge thought. Higher is better; differences mean something, zero
does not. The root model's license holds for it too.
""",
        encoding="utf-8",
    )
    if out.exists():
        out.rmdir()  # it is empty
    (scratch / REWARD_MODEL).rename(out)
    discard(scratch)
    return result
