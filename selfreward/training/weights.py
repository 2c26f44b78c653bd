"""The model that is trained: how its weights are held, and how what came of them is saved."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.engines.loading import load_merged, load_weights, training_dtype
from selfreward.errors import TrainingError
from selfreward.models import resolve_model
from selfreward.objectives.reward import with_reward_head
from selfreward.training.job import TrainingJob

if TYPE_CHECKING:
    import torch

    from selfreward.engines.chat import Chat

_MASTER = "float32"
"""Of a whole model that is trained; accelerators compute with it in bfloat16 (autocast). A step of 1e-6 is less than
bfloat16 can tell apart at the size of a usual weight: AdamW on such weights would move almost none of them."""


def load_policy(job: TrainingJob) -> Any:
    """What the job trains: all weights of the parent, or the root model with the parent's adapter or a new one."""
    parent = Path(job.parent) if job.parent else None
    if job.lora is None:
        whole: Any = load_merged(job.model, parent, _MASTER, _first_place())
        return whole.requires_grad_(True)  # an earlier iteration's adapter, once merged, has left all of it frozen
    from peft import PeftModel, get_peft_model

    in_4bit = job.lora.load_in_4bit
    weights: Any = load_weights(job.model, training_dtype(), None if in_4bit else _first_place(), in_4bit=in_4bit)
    for layer in weights.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            # bitsandbytes would lay out its weights anew, for good, where training stops for an evaluation.
            layer.support_avx512bf16_for_cpu = False
    if parent is not None:
        return PeftModel.from_pretrained(weights, str(parent), is_trainable=True)
    try:
        policy: Any = get_peft_model(weights, job.lora.peft("CAUSAL_LM"))
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


def _first_place() -> torch.device | None:
    """Where weights are loaded: those that are spread over processes later may be too large for one accelerator."""
    import torch

    spread = any(os.environ.get(f"ACCELERATE_USE_{how}") == "true" for how in ("FSDP", "DEEPSPEED"))
    return torch.device("cpu") if spread else None


def initial_model(job: TrainingJob) -> Callable[[], Any] | None:
    """Loads M0, where a whole model that is another one may be held to it."""
    if job.lora is not None or job.parent is None:
        return None
    return lambda: load_weights(job.model, _MASTER)


def load_reward_model(job: TrainingJob) -> Any:
    assert job.lora is not None  # a reward model is always trained through an adapter, which is merged in the end
    parent = Path(job.parent) if job.parent else None
    return with_reward_head(load_merged(job.model, parent, training_dtype()), job.lora)


def save_policy(trainer: Any, path: Path, job: TrainingJob, chat: Chat) -> None:
    """Adapter or whole model, as safetensors. All processes call it, since each may hold a part of the weights."""
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not trainer.accelerator.is_main_process:
        return
    policy = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    if job.lora is None:
        # In float32, since the next iteration goes on from them.
        policy.save_pretrained(str(path), state_dict=weights)
        _settle_model(path, Path(resolve_model(job.model.name, job.model.revision).path), chat)
    else:
        policy.save_pretrained(str(path), selected_adapters=["default"], safe_serialization=True, state_dict=weights)
        (path / "README.md").unlink(missing_ok=True)  # PEFT's empty model card, with a local path in it
        _settle_adapter_config(path / "adapter_config.json", job.model.name)


def _settle_model(path: Path, root: Path, chat: Chat) -> None:
    """All but the weights as the root model has it."""
    chat.tokenizer.save_pretrained(str(path))
    for name in ("config.json", "generation_config.json"):
        # As they came: training leaves settings of its own in them, and they name the precision to serve the model in.
        (path / name).unlink(missing_ok=True)
        if (root / name).exists():
            shutil.copyfile(root / name, path / name)


def _settle_adapter_config(path: Path, model: str) -> None:
    """Equal runs give equal bytes: PEFT writes its set of modules in no order, and the model by its local path."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    config["base_model_name_or_path"] = model
    path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
