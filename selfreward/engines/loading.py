"""Loading a model and its chat template: one place for engines and for training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from selfreward.engines.chat import Chat
from selfreward.errors import ModelError
from selfreward.models import ModelRef, resolve_model, resolve_tokenizer
from selfreward.records import Frozen, NotInKey

if TYPE_CHECKING:
    import torch
    from transformers import BitsAndBytesConfig, PreTrainedModel


NO_LIMIT = 1 << 30
"""Context of a model whose config names none."""
_Tag = Annotated[str, Field(min_length=1)]


class ModelConfig(Frozen):
    """The root model (M0). In a recipe, ``model: NAME`` is short for ``model: {name: NAME}``."""

    name: str
    """``builtin:smollm2-135m-instruct``, a local directory, or a Hub id."""
    revision: str | None = None
    """Commit, tag or branch of a Hub model."""
    chat_template: str | None = None
    """File with a Jinja chat template, for a model that has none or in place of its own."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Variables for the chat template, such as ``enable_thinking: false``."""
    reasoning_tags: tuple[_Tag, _Tag] = ("<think>", "</think>")
    """What stands around the reasoning of a model that thinks aloud; it is kept apart from the answer."""
    trust_remote_code: Annotated[bool, NotInKey] = False
    """Run Python code that comes with the model. Only for models whose authors you trust."""


DType = Literal["auto", "float32", "bfloat16", "float16"]


def load_chat(config: ModelConfig, *, served: bool = False) -> Chat:
    """The model's tokenizer and chat template; loads no weights, and needs none where the model is served elsewhere."""
    from transformers import AutoTokenizer

    resolve = resolve_tokenizer if served else _weights_too
    path = resolve(config.name, config.revision)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=config.trust_remote_code)
    except (OSError, ValueError) as error:
        raise ModelError(f"{config.name}: its tokenizer cannot be loaded: {error}") from error
    if config.chat_template is not None:
        try:
            tokenizer.chat_template = Path(config.chat_template).read_text(encoding="utf-8")
        except OSError as error:
            raise ModelError(f"model.chat_template: {config.chat_template}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ModelError(f"model.chat_template: {config.chat_template}: not UTF-8 text") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Chat(tokenizer, config.chat_template_kwargs)


def _weights_too(name: str, revision: str | None) -> str:
    return resolve_model(name, revision).path


def context_length(config: ModelConfig, at_most: int | None) -> int:
    """Most tokens that the model can take at once, by its own config and the user's limit; loads no weights."""
    from transformers import AutoConfig

    ref = resolve_model(config.name, config.revision)
    try:
        own = AutoConfig.from_pretrained(ref.path, trust_remote_code=config.trust_remote_code).get_text_config()
    except (OSError, ValueError) as error:
        raise ModelError(f"{config.name}: its config.json cannot be used: {error}") from error
    limits = [getattr(own, "max_position_embeddings", None), at_most]
    return min((limit for limit in limits if limit), default=NO_LIMIT)


def torch_device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    import torch

    return torch.accelerator.current_accelerator() or torch.device("cpu")


def dtype_name(dtype: DType) -> str:
    """``auto`` is bfloat16 on accelerators and on CPUs with AMX; float32 on others, where bfloat16 is no faster."""
    import torch

    if dtype != "auto":
        return dtype
    slow = torch_device().type == "cpu" and not torch.cpu.get_capabilities().get("amx_bf16")
    return "float32" if slow else "bfloat16"


def training_dtype() -> str:
    """bfloat16 on accelerators, float32 on CPUs."""
    return "float32" if torch_device().type == "cpu" else "bfloat16"


def eos_ids(config: ModelConfig, chat: Chat) -> tuple[int, ...]:
    """The tokens that end a turn; loads no weights.

    SFT ends turns with the tokenizer's token, and some models' generation configs do not name it.
    """
    from transformers import AutoConfig, GenerationConfig

    ref = resolve_model(config.name, config.revision)
    try:
        found = GenerationConfig.from_pretrained(ref.path).eos_token_id
    except OSError:  # a model need not come with one
        own = AutoConfig.from_pretrained(ref.path, trust_remote_code=config.trust_remote_code)
        found = own.get_text_config().eos_token_id
    named = found if isinstance(found, list) else [found]
    return tuple(sorted({token for token in (*named, chat.tokenizer.eos_token_id) if token is not None}))


def load_weights(
    config: ModelConfig, dtype: str, device: torch.device | None = None, *, in_4bit: bool = False
) -> PreTrainedModel:
    """The root model on the device, the accelerator if there is one; safetensors only.

    ``in_4bit`` rounds its linear layers to NF4 as they are loaded; they compute in ``dtype``.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # a bar for a second of loading would stand between the lines on progress

    ref: ModelRef = resolve_model(config.name, config.revision)
    place = device or torch_device()
    rounded = {"quantization_config": _nf4(dtype), "device_map": {"": place}} if in_4bit else {}
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            ref.path,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=config.trust_remote_code,
            **rounded,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{config.name}: its weights cannot be loaded: {error}") from error
    if not in_4bit:
        model.to(place)  # type: ignore[arg-type]
    return model


def _nf4(dtype: str) -> BitsAndBytesConfig:
    """QLoRA's (Dettmers et al. 2023, arXiv 2305.14314, section 3)."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def is_adapter(weights: Path | str) -> bool:
    """Whether a directory that training made holds an adapter, and not a whole model."""
    return (Path(weights) / "adapter_config.json").is_file()


def whole_model(root: ModelConfig, weights: Path) -> ModelConfig:
    """A whole model that was trained, as something to load."""
    return root.model_copy(update={"name": str(weights), "revision": None})


def load_merged(
    root: ModelConfig, weights: Path | None, dtype: str, device: torch.device | None = None
) -> PreTrainedModel:
    """A model that was trained as one model: an adapter's changes are put into the root model's own weights."""
    if weights is None or not is_adapter(weights):
        return load_weights(root if weights is None else whole_model(root, weights), dtype, device)
    from peft import PeftModel

    model: Any = PeftModel.from_pretrained(load_weights(root, dtype, device), str(weights))
    merged: PreTrainedModel = model.merge_and_unload()
    return merged
