"""A run's model by itself: one directory that needs neither the run nor PEFT."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from selfreward.config import RunConfig
from selfreward.engines.loading import ModelConfig, load_chat, load_merged
from selfreward.errors import StoreError
from selfreward.models import resolve_model
from selfreward.storage.durable import TEMPORARY
from selfreward.storage.iteration import IterationStore, check_file
from selfreward.storage.run import RunStore

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_VERSIONS = ("torch", "transformers", "trl", "peft")


def merge(run: RunStore, t: int, out: Path) -> Path:
    """Write the model that iteration ``t`` made, M_{t+1}, with tokenizer, chat template and model card.

    Its weights have the root model's own precision.

    Raises:
        StoreError: the iteration trained nothing, its files are damaged, or ``out`` is there already.
        ModelError: the root model cannot be loaded.
    """
    import torch

    config, it = run.config(), run.iteration(t)
    weights = trained_weights(it)
    refuse_to_overwrite(out)
    root = root_of(config, it)
    model = load_merged(root, weights, "auto", torch.device("cpu"))
    return save_whole(model, load_chat(root).tokenizer, _card(config, it), out)


def trained_weights(it: IterationStore) -> Path:
    """What an iteration trained, checked against its hashes."""
    entry = it.trained
    if entry is None or not entry.finished:
        raise StoreError(f"{it.path}: has trained nothing; go on with the run, or name another iteration with -i")
    for file in entry.files:
        check_file(it.path, file)
    return it.weights


def root_of(config: RunConfig, it: IterationStore) -> ModelConfig:
    """The root model's settings, held to what the iteration was made with.

    Raises:
        StoreError: the model of that name has other weights by now.
    """
    root = config.model.model_copy(update={"revision": it.manifest.model["revision"]})
    if resolve_model(root.name, root.revision).fingerprint != it.manifest.model["fingerprint"]:
        raise StoreError(
            f"{it.path}: was made with another root model than {root.name} as it is now; put that one back"
        )
    return root


def refuse_to_overwrite(out: Path) -> None:
    """Raises StoreError where a model would be written over something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out}: is there already; name another directory with -o")


def save_whole(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, card: str, out: Path) -> Path:
    """Safetensors, tokenizer with its chat template, and a README; all of it, or nothing."""
    partial = out.with_name(f"{TEMPORARY}{out.name}")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(str(partial))
    tokenizer.save_pretrained(str(partial))
    (partial / "README.md").write_text(card, encoding="utf-8")
    if out.exists():
        out.rmdir()  # it is empty
    partial.rename(out)
    return out


def _card(config: RunConfig, it: IterationStore) -> str:
    t, settings = it.manifest.iteration, it.manifest.config
    made = ", ".join(f"{entry.rows} {name}" for name, entry in it.manifest.stages.items() if entry.rows)
    how = "supervised fine-tuning on seeds"
    training = it.trained
    if t and training is not None:
        objective = training.settings["train"]  # of this very iteration
        how = f"train.type {objective['type']}, pairs.type {settings['pairs']['type']}"
    root = base_model(config)
    weights = f"All weights of {root} were trained."
    if config.lora is not None:
        weights = f"An adapter with r={config.lora.r} was trained and merged into {root}."
    versions = ", ".join(f"{name} {it.manifest.environment.get(name, '?')}" for name in _VERSIONS)
    return f"""{front_matter(config, "text-generation")}
# M{t + 1} of a self-rewarding run

Iteration {t} of the run `{config.name}` ({how}). {weights} What it was made from: {made}.

Versions: {versions}.

Nothing says that it is better than its root model; measure it. The root model's license holds for it too.
"""


def front_matter(config: RunConfig, task: str) -> str:
    """What the Hub reads at the top of a model card."""
    hub = f"base_model: {config.model.name}\n" if base_model(config) == config.model.name else ""
    return f"---\n{hub}library_name: transformers\npipeline_tag: {task}\ntags:\n- selfreward\n---\n"


def base_model(config: RunConfig) -> str:
    """The root model's name; of a local directory only its last part, since a path tells about a machine."""
    name = config.model.name
    return Path(name).name if Path(name).expanduser().exists() else name.removeprefix("builtin:")
