"""Engines: a new one is a file here and a member of the union below."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from selfreward.engines.loading import DType, ModelConfig
from selfreward.engines.protocol import Capability
from selfreward.engines.reward import RewardEngineConfig
from selfreward.engines.server import ServerConfig
from selfreward.engines.transformers import TransformersConfig
from selfreward.engines.vllm import VllmConfig
from selfreward.engines.vllm_checks import vllm_is_installed
from selfreward.records import Frozen

ResolvedEngine: TypeAlias = TransformersConfig | VllmConfig | ServerConfig
AnyEngine: TypeAlias = ResolvedEngine | RewardEngineConfig
"""With those that a recipe does not choose by themselves."""


class AutoConfig(Frozen):
    """vLLM where it is installed and there is a GPU; transformers elsewhere."""

    type: Literal["auto"] = "auto"
    dtype: DType = "auto"
    """As in the engine that it comes to."""
    max_model_len: int | None = Field(default=None, ge=16)
    """As in the engine that it comes to."""

    def capabilities(self) -> frozenset[Capability]:
        """What both can do."""
        return frozenset({"adapters", "prefill", "next_token"})


def _auto_where_not_said(value: Any) -> Any:
    if isinstance(value, str):
        return {"type": value}
    return {"type": "auto", **value} if isinstance(value, dict) else value


EngineConfig = Annotated[
    Annotated[AutoConfig | ResolvedEngine, Field(discriminator="type")], BeforeValidator(_auto_where_not_said)
]


def resolve_engine(config: AutoConfig | ResolvedEngine) -> ResolvedEngine:
    """The engine that ``auto`` comes to on this machine."""
    if not isinstance(config, AutoConfig):
        return config
    import torch

    chosen = VllmConfig if torch.cuda.is_available() and vllm_is_installed() else TransformersConfig
    return chosen(dtype=config.dtype, max_model_len=config.max_model_len)


class FixedModel(ModelConfig):
    """A model that is not trained, for one part of the work."""

    engine: EngineConfig | None = None
    """What it answers through; the recipe's own ``engine`` where not set."""
