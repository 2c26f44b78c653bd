"""The model that is trained: how its weights are held, and how what came of them is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selfreward.engines.loading import load_merged, load_weights, training_dtype
from selfreward.errors import TrainingError
from selfreward.objectives.reward import with_reward_head
from selfreward.training.job import TrainingJob


def load_policy(job: TrainingJob) -> Any:
    """The root model with the parent's adapter over it, or a new one."""
    from peft import LoraConfig as PeftLoraConfig
    from peft import PeftModel, get_peft_model

    weights: Any = load_weights(job.model, training_dtype(), in_4bit=job.lora.load_in_4bit)
    if job.adapter is not None:
        return PeftModel.from_pretrained(weights, job.adapter, is_trainable=True)
    modules = job.lora.target_modules
    lora = PeftLoraConfig(
        task_type="CAUSAL_LM",
        r=job.lora.r,
        lora_alpha=job.lora.alpha,
        lora_dropout=job.lora.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
    )
    try:
        policy: Any = get_peft_model(weights, lora)
    except ValueError as error:  # no layer of that name, or one that can have no adapter
        raise TrainingError(f"lora.target_modules: {error}") from error
    model: Any = policy.get_base_model()
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        # In many models they are one matrix, which engines would change in both places and training in one.
        if hasattr(layer, "lora_A"):
            raise TrainingError(
                "lora.target_modules names the word embeddings or the output layer, of which an adapter would not "
                "be trained and served alike; name other layers, or all-linear"
            )
    return policy


def load_reward_model(job: TrainingJob) -> Any:
    adapter = Path(job.adapter) if job.adapter else None
    return with_reward_head(load_merged(job.model, adapter, training_dtype()), job.lora)


def save_adapter(trainer: Any, path: Path, model: str) -> None:
    trainer.model.save_pretrained(str(path), selected_adapters=["default"], safe_serialization=True)
    (path / "README.md").unlink(missing_ok=True)  # PEFT's empty model card, with a local path in it
    _settle_adapter_config(path / "adapter_config.json", model)


def _settle_adapter_config(path: Path, model: str) -> None:
    """Equal runs give equal bytes: PEFT writes its set of modules in no order, and the model by its local path."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    config["base_model_name_or_path"] = model
    path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
