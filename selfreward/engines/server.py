"""Any OpenAI-compatible endpoint, as a fixed model that judges or writes prompts."""

from __future__ import annotations

from typing import Literal

from selfreward.engines.chat import Chat
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Capability, Engine, EngineRoom
from selfreward.records import Frozen


class ServerConfig(Frozen):
    """An OpenAI-compatible endpoint; it answers as one fixed model."""

    type: Literal["server"] = "server"
    max_model_len: int | None = None
    """Most tokens of prompt and completion together."""

    def capabilities(self) -> frozenset[Capability]:
        """What engines of this kind can do."""
        return frozenset()

    def check(self, model: ModelConfig) -> None:
        """Nothing yet."""

    def chat_of(self, model: ModelConfig) -> Chat | None:
        """None: the endpoint keeps its tokens to itself."""
        return None

    def open(self, model: ModelConfig, room: EngineRoom) -> Engine:
        """An engine that asks the endpoint."""
        raise NotImplementedError
