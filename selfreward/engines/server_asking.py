"""One request to an endpoint, from the chat to the answer, and what is learned on the way of its habits."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from selfreward.engines.protocol import Answer, Completion, NextToken, Sampling
from selfreward.engines.server_api import Api, Choice, Prepared, Reply, next_token, sampled
from selfreward.engines.server_client import Endpoint, Refused, Say
from selfreward.records import derive_seed

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|context (?:length|size|window)|maximum (?:model )?length"
    r"|max_model_len|max_new_tokens.{0,20}must be|prompt is too long|too many tokens|longer than the model"
)
"""How endpoints say that a request does not fit; the status is 400, 413 or 422."""
_DISPENSABLE = ("seed", "return_token_ids")
"""What an endpoint may refuse to know, and is then asked without."""


class Asker:
    """Asks for one engine. Used in the thread of its :class:`~selfreward.engines.server_client.Line` only."""

    def __init__(self, api: Api, say: Say) -> None:
        self._api, self._say = api, say
        self._refused_fields: set[str] = set()
        self._one_by_one = False

    async def answer(self, endpoint: Endpoint, index: int, prepared: Prepared, how: Sampling | NextToken) -> Answer:
        """To one request, the ``index``-th of its ask; empty where it does not fit the context.

        Raises:
            EngineError: the endpoint will not, or cannot be reached.
        """
        try:
            if isinstance(how, NextToken):
                reply = await self._post(endpoint, next_token(prepared, how))
                logprobs = self._api.logprobs(reply.choices[0], how)
                return Answer(_prompt_tokens(prepared, reply), logprobs=logprobs)
            return await self._completions(endpoint, index, prepared, how)
        except Refused as refused:
            if _is_too_long(refused):
                return Answer(prepared.tokens or 0)
            raise endpoint.refusal(refused) from None

    async def _completions(self, endpoint: Endpoint, index: int, prepared: Prepared, how: Sampling) -> Answer:
        """All ``n``, in as many requests as the endpoint needs for them; most give them in one."""
        found: list[Completion] = []
        seed, tokens = derive_seed(how.seed, index), 0
        while len(found) < how.n:
            missing = 1 if self._one_by_one else how.n - len(found)
            try:
                reply = await self._post(endpoint, sampled(prepared, how, missing, seed))
            except Refused as refused:
                if missing == 1 or refused.status not in (400, 422) or _is_too_long(refused):
                    raise
                reply = await self._post(endpoint, sampled(prepared, how, 1, seed))
                self._one_by_one = True
            tokens = tokens or _prompt_tokens(prepared, reply)
            found += [self._read(endpoint, choice, how) for choice in _in_order(reply)[:missing]]
            seed = derive_seed(how.seed, index, len(found))
        return Answer(tokens, tuple(found))

    def _read(self, endpoint: Endpoint, choice: Choice, how: Sampling) -> Completion:
        try:
            return self._api.completion(choice, how.stop)
        except ValueError as error:
            raise endpoint.no_sense(f"{error}: {choice.model_dump_json()}") from None

    async def _post(self, endpoint: Endpoint, body: dict[str, Any]) -> Reply:
        while True:
            asked = {name: value for name, value in body.items() if name not in self._refused_fields}
            if "max_tokens" in self._refused_fields:
                asked["max_completion_tokens"] = body["max_tokens"]
            try:
                found = await endpoint.post(self._api.path, asked)
            except Refused as refused:
                if not self._learn(refused, asked):
                    raise
                continue
            try:
                reply = Reply.model_validate(found)
            except ValidationError:
                raise endpoint.no_sense(str(found)) from None
            if not reply.choices:
                raise endpoint.no_sense(str(found))
            return reply

    def _learn(self, refused: Refused, asked: dict[str, Any]) -> bool:
        """Whether the endpoint can be asked again without a field that it does not know."""
        if refused.status not in (400, 422):
            return False
        if "max_completion_tokens" in refused.words and "max_tokens" in asked:
            self._refused_fields.add("max_tokens")  # newer models of OpenAI want the other name
            return True
        known = [name for name in _DISPENSABLE if name in asked and name in refused.words]
        for name in known:
            if name not in self._refused_fields:
                self._refused_fields.add(name)
                self._say(f"the endpoint does not take {name}, and is asked without it ({refused})")
        return bool(known)


def _is_too_long(refused: Refused) -> bool:
    return refused.status in (400, 413, 422) and _TOO_LONG.search(refused.words.lower()) is not None


def _in_order(reply: Reply) -> list[Choice]:
    return sorted(reply.choices, key=lambda choice: choice.index)


def _prompt_tokens(prepared: Prepared, reply: Reply) -> int:
    if prepared.tokens is not None:
        return prepared.tokens
    return reply.usage.prompt_tokens if reply.usage else 0
