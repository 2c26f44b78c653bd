"""The two ways in which OpenAI-compatible endpoints are asked: with messages, or with token ids."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, BeforeValidator

from selfreward.engines.chat import Chat
from selfreward.engines.defusing import defuse, spells_control
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Completion, NextToken, Request, Sampling
from selfreward.engines.transcribing import Transcriber
from selfreward.errors import EngineError

TOP_LOGPROBS = 20
"""Asked for where an endpoint does not know of named tokens; vLLM's own default limit."""
_MOST_UNTOLD = 1e-3
"""Probability that tokens which were not told of may have together, for the told ones to be taken as the whole."""
_TOKEN_ID = "token_id:"


def _without_lone_surrogates(value: Any) -> Any:
    """JSON can escape half a character, which nothing can store."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_without_lone_surrogates)]


class Logprobs(BaseModel):
    """Of each new token, the likeliest ones in its place, in the completions API's form."""

    top_logprobs: list[dict[str, float | None] | None] | None = None


class ChatMessage(BaseModel):
    """The assistant's turn; without content where the model was cut off while thinking."""

    content: Text | None = None


class Choice(BaseModel):
    """One of the ``n`` completions."""

    index: int = 0
    text: Text | None = None
    message: ChatMessage | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    logprobs: Logprobs | None = None


class Usage(BaseModel):
    """Tokens, as the endpoint counts them."""

    prompt_tokens: int = 0


class Reply(BaseModel):
    """What is read of an endpoint's answer."""

    choices: list[Choice]
    usage: Usage | None = None


@dataclass(frozen=True)
class Prepared:
    """What is the same in each request for one chat."""

    body: Mapping[str, Any]
    tokens: int | None = None
    """Of the prompt; None where only the endpoint can count them."""


class Api(Protocol):
    """One way to ask, for one model."""

    path: str
    chat: Chat | None
    probe: Mapping[str, Any]
    """A request for one token, to see whether the model is there."""

    def prepare(self, requests: Sequence[Request]) -> list[Prepared]:
        """Chats in the API's form."""
        ...

    def completion(self, choice: Choice, stop: Sequence[str]) -> Completion:
        """What was written."""
        ...

    def logprobs(self, choice: Choice, wanted: NextToken) -> tuple[float, ...]:
        """Of the wanted tokens; none at all where some that may matter were not told."""
        ...


class ChatApi:
    """Messages in, words out; the endpoint puts its own chat template around them."""

    path = "chat/completions"
    chat: Chat | None = None

    def __init__(self, model: ModelConfig) -> None:
        self._tags = model.reasoning_tags
        self._same: dict[str, Any] = {"model": model.name}
        if model.chat_template_kwargs:
            self._same["chat_template_kwargs"] = model.chat_template_kwargs
        self.probe: Mapping[str, Any] = {
            "model": model.name,
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 1,
        }

    def prepare(self, requests: Sequence[Request]) -> list[Prepared]:
        """See :class:`Api`."""
        assert not any(r.prefill for r in requests), "an endpoint without tokens was given a prefill"
        return [
            Prepared({**self._same, "messages": [_message(m.role, m.content) for m in r.messages]}) for r in requests
        ]

    def completion(self, choice: Choice, stop: Sequence[str]) -> Completion:
        """See :class:`Api`."""
        if choice.message is None:
            raise ValueError("a choice has no message")
        text, finish_reason = _ended(choice.message.content or "", choice, stop)
        words = text
        for tag in self._tags:
            words = words.replace(tag, " ")
        return Completion(text, (), finish_reason, special_tokens=spells_control(words))

    def logprobs(self, choice: Choice, wanted: NextToken) -> tuple[float, ...]:
        """See :class:`Api`."""
        raise EngineError("engine.api=chat gives no log-probabilities of tokens; use engine.api=completions")


class CompletionsApi:
    """Token ids in, words and ids out; template and tokenizer are used here."""

    path = "completions"

    def __init__(self, model: ModelConfig, chat: Chat) -> None:
        self.chat: Chat | None = chat
        self._transcriber = Transcriber(chat, model.reasoning_tags, eos=())
        self._control = chat.control_ids
        self._model = model.name
        self.probe: Mapping[str, Any] = {"model": model.name, "prompt": chat.plain_ids("Hi"), "max_tokens": 1}

    def prepare(self, requests: Sequence[Request]) -> list[Prepared]:
        """See :class:`Api`."""
        encoded = self._transcriber.encode(requests)
        return [Prepared({"model": self._model, "prompt": ids, "return_token_ids": True}, len(ids)) for ids in encoded]

    def completion(self, choice: Choice, stop: Sequence[str]) -> Completion:
        """See :class:`Api`."""
        if choice.text is None:
            raise ValueError("a choice has no text")
        text, finish_reason = _ended(choice.text, choice, stop)
        ids = tuple(choice.token_ids or ())
        # What ended the turn belongs there.
        written = ids[:-1] if finish_reason == "stop" and ids and ids[-1] in self._control else ids
        return Completion(text, ids, finish_reason, self._transcriber.holds_special(text, written))

    def logprobs(self, choice: Choice, wanted: NextToken) -> tuple[float, ...]:
        """See :class:`Api`."""
        first = (choice.logprobs.top_logprobs or [None])[0] if choice.logprobs else None
        told = {
            int(name.removeprefix(_TOKEN_ID)): value
            for name, value in (first or {}).items()
            if value is not None and not math.isnan(value) and name.startswith(_TOKEN_ID)
        }
        if not told:
            raise EngineError(
                "the endpoint does not give log-probabilities of tokens by their ids, and a token's text may be that "
                "of another; serve the model with vLLM, or use judge.method.type=sampled"
            )
        # Without named tokens an endpoint tells of the likeliest ones only. What it did not tell of is less likely than
        # the least likely of those, which may be too much to pass over.
        least = min(told.values())
        missing = sum(token not in told for token in wanted.token_ids)
        if missing * math.exp(least) > _MOST_UNTOLD:
            return ()
        return tuple(told.get(token, least) for token in wanted.token_ids)


def sampled(prepared: Prepared, how: Sampling, n: int, seed: int) -> dict[str, Any]:
    """The request for ``n`` completions."""
    body = {
        **prepared.body,
        "max_tokens": how.max_tokens,
        "n": n,
        "temperature": how.temperature,
        "top_p": how.top_p,
        "seed": seed,
    }
    if how.stop:
        body["stop"] = list(how.stop)
    if how.json_schema is not None:
        schema = {"name": "answer", "schema": dict(how.json_schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def next_token(prepared: Prepared, how: NextToken) -> dict[str, Any]:
    """The request for log-probabilities: one token is written, and not looked at.

    ``logprob_token_ids`` is vLLM's; those that do not know it pass over it, and give the likeliest tokens.
    """
    return {
        **prepared.body,
        "max_tokens": 1,
        "temperature": 0.0,  # what is written is the likeliest token, and so none beside those asked for
        "logprobs": TOP_LOGPROBS,
        "logprob_token_ids": list(how.token_ids),
        "return_tokens_as_token_ids": True,
    }


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": defuse(content)}


def _ended(text: str, choice: Choice, stop: Sequence[str]) -> tuple[str, Literal["stop", "length"]]:
    """The text up to a stop string, which some endpoints leave in; any end but a stop is a cut."""
    stopped = choice.finish_reason == "stop"
    for words in stop:
        text, found, _ = text.partition(words)
        stopped = stopped or bool(found)
    return text, "stop" if stopped else "length"
