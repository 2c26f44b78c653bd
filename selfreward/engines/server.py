"""Any OpenAI-compatible endpoint, as a fixed model that judges or writes prompts."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from selfreward.engines.chat import Chat
from selfreward.engines.loading import ModelConfig, load_chat
from selfreward.engines.protocol import Capability, Engine, EngineRoom
from selfreward.engines.server_api import Api, ChatApi, CompletionsApi
from selfreward.engines.server_client import Address, Endpoint, Refused, Say, Sleep, call_once
from selfreward.engines.server_engine import ServerEngine
from selfreward.errors import EngineError
from selfreward.records import Frozen, NotInKey

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_TRIES_TO_LOOK = 2
_NAMES_SHOWN = 8
_NO_LIMIT = 1 << 30


class ServerConfig(Frozen):
    """An OpenAI-compatible endpoint; it answers as one fixed model, which ``name`` is the endpoint's name of."""

    model_config = ConfigDict(hide_input_in_errors=True)  # what was refused as a key may be one

    type: Literal["server"] = "server"
    url: Annotated[str, NotInKey]
    """Base of the endpoint, such as ``http://127.0.0.1:8000/v1``. The model is known by its name, so a run goes on when
    its endpoint has moved."""
    api: Literal["chat", "completions"] = "chat"
    """``chat``: messages, with the endpoint's own chat template. ``completions``: token ids made here, which expected
    scores need; for vLLM."""
    tokenizer: str | None = None
    """With ``api: completions``, directory or Hub id of the model whose tokenizer and chat template are used; the
    model's name where not set. No weights are fetched."""
    api_key_env: Annotated[str | None, NotInKey] = None
    """Name of the environment variable that holds the endpoint's key; without it no key is sent."""
    concurrency: Annotated[int, NotInKey] = Field(default=64, ge=1)
    """Most requests under way at once."""
    timeout: Annotated[float, NotInKey] = Field(default=600.0, gt=0)
    """Seconds to wait for one answer before it is asked for again."""
    retries: Annotated[int, NotInKey] = Field(default=6, ge=0)
    """How often a request is tried again after a lost connection, a timeout, or HTTP 408, 409, 429 or 5xx. The pauses
    double from one second to a minute; where the endpoint says how long to wait, that is kept to."""
    max_model_len: int | None = Field(default=None, ge=16)
    """With ``api: completions``, most tokens of prompt and completion together; what the endpoint says where not
    set."""

    @field_validator("url")
    @classmethod
    def _is_a_base(cls, url: str) -> str:
        """Without naming it in errors: there may be a password in it."""
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if not good or any(c.isspace() or not c.isprintable() for c in url):
            raise ValueError("not the address of an endpoint; expected one such as http://127.0.0.1:8000/v1")
        if "@" in parts.netloc:
            raise ValueError(
                "holds a user or a key, which would be stored with the run; put the key into an environment variable, "
                "and name that with api_key_env"
            )
        if parts.query or parts.fragment:
            raise ValueError("has a query or a fragment; expected only the base, such as http://127.0.0.1:8000/v1")
        return url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not _VARIABLE.fullmatch(name):
            raise ValueError(
                "expected the name of an environment variable, in capitals, such as OPENAI_API_KEY; never the key "
                "itself, which would be stored with the run"
            )
        return name

    @model_validator(mode="after")
    def _is_read(self) -> ServerConfig:
        for name in ("tokenizer", "max_model_len"):
            if self.api == "chat" and getattr(self, name) is not None:
                raise ValueError(f"{name} is for api: completions; with api: chat only the endpoint counts tokens")
        return self

    def capabilities(self) -> frozenset[Capability]:
        """What engines of this kind can do."""
        if self.api == "chat":
            return frozenset({"json_schema"})
        return frozenset({"prefill", "next_token", "json_schema"})

    def check(self, model: ModelConfig, setting: str = "engine") -> None:
        """See to it that the endpoint is there, takes the key and serves the model, before hours of work.

        Raises:
            EngineError: it is not, or does not.
            ModelError: the tokenizer cannot be loaded.
        """
        self._check_model(model, setting)
        address, api = self.address(setting), self.api_of(model)
        soon = replace(address, retries=min(address.retries, _TRIES_TO_LOOK))
        call_once(Endpoint(soon, _say_nothing), lambda endpoint: _see_that_it_serves(endpoint, model.name, api))

    def chat_of(self, model: ModelConfig) -> Chat | None:
        """The tokenizer and chat template, where they are used here; None where only the endpoint knows them."""
        if self.api == "chat":
            return None
        return load_chat(model.model_copy(update={"name": self.tokenizer or model.name}), served=True)

    def open(self, model: ModelConfig, room: EngineRoom, sleep: Sleep = asyncio.sleep) -> Engine:
        """An engine that asks the endpoint."""
        address, api = self.address(room.setting), self.api_of(model)

        def call(say: Say) -> Endpoint:
            return Endpoint(address, say, sleep)

        context = self.max_model_len or _NO_LIMIT
        if self.max_model_len is None and self.api == "completions":
            context = call_once(call(room.say), lambda endpoint: _context(endpoint, model.name))
        return ServerEngine(api, call, room.say, self.concurrency, context)

    def api_of(self, model: ModelConfig) -> Api:
        """How the model is asked."""
        chat = self.chat_of(model)
        return ChatApi(model) if chat is None else CompletionsApi(model, chat)

    def address(self, setting: str = "engine") -> Address:
        """The endpoint's, with the key; ``setting`` is where the engine is set.

        Raises:
            EngineError: the environment has none.
        """
        key = self._key(setting)
        return Address(self.url, key, self.api_key_env, self.concurrency, self.timeout, self.retries, setting)

    def _key(self, setting: str) -> SecretStr | None:
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        where = f"{setting}.api_key_env: the environment variable {self.api_key_env}"
        if not key:
            raise EngineError(f"{where} is not set; put the key for {self.url} into it")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise EngineError(
                f"{where} holds what can be no key (it is not shown here); it has spaces or odd characters"
            )
        return SecretStr(key)

    def _check_model(self, model: ModelConfig, setting: str) -> None:
        if self.api == "chat":
            for name in ("revision", "chat_template"):
                if getattr(model, name) is not None:
                    raise EngineError(
                        f"{_model_of(setting)}.{name} has no effect with {setting}.api=chat, where the endpoint has "
                        f"its own model and template; leave it out, or use {setting}.api=completions"
                    )


def _model_of(engine: str) -> str:
    """Where the model of an engine is set."""
    return engine.removesuffix(".engine") if engine.endswith(".engine") else "model"


async def _see_that_it_serves(endpoint: Endpoint, name: str, api: Api) -> None:
    """By its list of models; where that does not have the name, by asking for a token."""
    try:
        listed = [model["id"] for model in await _models(endpoint)]
    except Refused as refused:
        raise endpoint.refusal(refused) from None
    if name in listed:
        return
    try:
        await endpoint.post(api.path, dict(api.probe))
    except Refused as refused:
        if refused.status in (401, 403, 404, 405) or 300 <= refused.status < 400 or name in refused.words:
            serves = f". It serves: {', '.join(listed[:_NAMES_SHOWN])}" if listed else ""
            raise EngineError(f"{endpoint.refusal(refused)}{serves}") from None
        # It knows the model, and takes offence at something else in so short a request.


async def _context(endpoint: Endpoint, name: str) -> int:
    """vLLM tells it beside the model's name. Elsewhere what is too long is refused when it is asked."""
    try:
        lengths = [model.get("max_model_len") for model in await _models(endpoint) if model["id"] == name]
    except Refused as refused:
        raise endpoint.refusal(refused) from None
    return next((length for length in lengths if isinstance(length, int) and length > 0), _NO_LIMIT)


async def _models(endpoint: Endpoint) -> list[dict[str, Any]]:
    """What the endpoint lists; nothing where it has no list."""
    try:
        found = await endpoint.get("models")
    except Refused as refused:
        if refused.status in (401, 403):
            raise
        return []
    data = found.get("data") if isinstance(found, dict) else None
    return [m for m in data if isinstance(m, dict) and isinstance(m.get("id"), str)] if isinstance(data, list) else []


def _say_nothing(text: str) -> None:
    """While it is only looked at, an error says it all."""
