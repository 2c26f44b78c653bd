"""Batched generation with transformers: the engine of laptops, and the one whose runs repeat byte for byte."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from selfreward.engines.chat import Chat
from selfreward.engines.likelihood import last_turns
from selfreward.engines.loading import (
    DType,
    ModelConfig,
    context_length,
    eos_ids,
    load_chat,
)
from selfreward.engines.memory import even_batches, memory_for
from selfreward.engines.protocol import Answer, Ask, Capability, Engine, EngineRoom, Likelihood, NextToken, Sampling
from selfreward.engines.transcribing import Transcriber
from selfreward.engines.weights import Weights
from selfreward.records import Frozen, NotInKey, derive_seed

if TYPE_CHECKING:
    import torch
    from transformers import Cache

_TOKENS_BETWEEN_LOOKS = 16
"""New tokens until rows that have ended leave their batch; each look costs about half a token's time."""
_SHORTEST_SHARED_PREFIX = 16
"""Below this many tokens, a shared prefix saves less than copying its cache costs."""


class TransformersConfig(Frozen):
    """Batched ``generate`` of transformers, on the GPU or the CPU."""

    type: Literal["transformers"] = "transformers"
    batch_size: Annotated[int, NotInKey] = Field(default=32, ge=1)
    """Sequences generated at once. Smaller needs less memory."""
    judge_batch_size: Annotated[int, NotInKey] = Field(default=8, ge=1)
    """Sequences in one forward pass of judging that writes nothing, where long texts meet no decoding."""
    dtype: DType = "auto"
    """``auto``: bfloat16 on accelerators and on CPUs with AMX, float32 on other CPUs."""
    max_model_len: int | None = Field(default=None, ge=16)
    """Most tokens of prompt and completion together; the model's own limit where not set."""

    def capabilities(self) -> frozenset[Capability]:
        """What engines of this kind can do."""
        return frozenset({"adapters", "prefill", "next_token", "likelihood"})

    def check(self, model: ModelConfig, setting: str = "engine") -> None:
        """It needs nothing that is not installed."""

    def chat_of(self, model: ModelConfig) -> Chat | None:
        """The tokenizer and chat template that its engine will have; loads no weights."""
        return load_chat(model)

    def open(self, model: ModelConfig, room: EngineRoom) -> Engine:
        """An engine that answers as the root model until it is told to use other weights."""
        return TransformersEngine(model, self, room.setting)


@dataclass(frozen=True, slots=True)
class _Prefix:
    """Tokens that all requests of one ask begin with, and the cache of a forward pass over them."""

    ids: list[int]
    cache: Cache | None

    def cache_for(self, rows: int) -> Cache | None:
        """A copy for a batch of ``rows``, which the batch may write to."""
        cache = copy.deepcopy(self.cache)
        if cache is not None:
            cache.batch_repeat_interleave(rows)
        return cache


class TransformersEngine:
    """Answers one ask after the other, in batches formed by length within each. Loads when it is first asked."""

    def __init__(self, model: ModelConfig, config: TransformersConfig, setting: str = "engine") -> None:
        self._setting = setting
        self.chat = load_chat(model)
        self.context = context_length(model, config.max_model_len)
        self._transcriber = Transcriber(self.chat, model.reasoning_tags, eos_ids(model, self.chat))
        self._config = config
        self._policy: Path | None = None
        self._loaded = Weights(model, config.dtype)
        self._waiting: Ask | None = None
        self._tickets = 0

    def use(self, weights: Path | None) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        if weights != self._policy:
            self.pause()
            self._policy = weights

    def wants_more(self) -> bool:
        """It works on one ask at a time."""
        return self._waiting is None

    def submit(self, ask: Ask) -> int:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        assert self._waiting is None, "one ask at a time"
        self._waiting = ask
        self._tickets += 1
        return self._tickets

    def collect(self) -> tuple[int, list[Answer]]:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        assert self._waiting is not None, "nothing was asked"
        ask, self._waiting = self._waiting, None
        if isinstance(ask.how, Likelihood):
            return self._tickets, self._likelihoods(ask, ask.how.weights)
        new_tokens = ask.how.max_tokens if isinstance(ask.how, Sampling) else 1
        encoded = self._transcriber.encode(ask.requests)
        answers = [Answer(len(ids)) for ids in encoded]
        fitting = [i for i, ids in enumerate(encoded) if len(ids) + new_tokens <= self.context]
        prefix = self._shared_prefix([encoded[i] for i in fitting])
        if isinstance(ask.how, Sampling):
            answered = self._completions(encoded, fitting, prefix, ask.how)
        else:
            assert isinstance(ask.how, NextToken), "it has no rewards"
            answered = self._logprobs(encoded, fitting, prefix, ask.how.token_ids)
        for index, answer in answered:
            answers[index] = answer
        return self._tickets, answers

    def pause(self) -> None:
        """Give the model's memory back, on the accelerator too."""
        self._waiting = None
        self._loaded.release()

    def close(self) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        self.pause()

    @property
    def _model(self) -> Any:
        return self._loaded.answering(self._policy)

    def _completions(
        self, encoded: list[list[int]], fitting: Sequence[int], prefix: _Prefix, sampling: Sampling
    ) -> Iterator[tuple[int, Answer]]:
        per_batch = max(1, self._config.batch_size // sampling.n)
        for number, batch in enumerate(even_batches(fitting, encoded, per_batch)):
            seed = derive_seed(sampling.seed, number)
            rows = self._generate_batch([encoded[i] for i in batch], prefix, sampling, seed)
            for position, index in enumerate(batch):
                own = rows[position * sampling.n : (position + 1) * sampling.n]
                completions = tuple(self._transcriber.completion(row, sampling.stop) for row in own)
                yield index, Answer(len(encoded[index]), completions)

    def _logprobs(
        self, encoded: list[list[int]], fitting: Sequence[int], prefix: _Prefix, token_ids: Sequence[int]
    ) -> Iterator[tuple[int, Answer]]:
        """One forward pass over each request."""
        import torch

        for batch in even_batches(fitting, encoded, self._config.judge_batch_size):
            ids, mask = self._pad([encoded[i] for i in batch], len(prefix.ids))
            with torch.inference_mode(), memory_for(f"{self._setting}.judge_batch_size", ids):
                positions = (mask.cumsum(-1) - 1).clamp(min=0)
                logits = self._model(
                    input_ids=ids[:, len(prefix.ids) :],
                    attention_mask=mask,
                    position_ids=positions[:, len(prefix.ids) :],
                    past_key_values=prefix.cache_for(len(batch)),
                    logits_to_keep=1,
                ).logits[:, -1]
                named = logits.float().log_softmax(-1)[:, list(token_ids)].tolist()
            for index, logprobs in zip(batch, named, strict=True):
                yield index, Answer(len(encoded[index]), logprobs=tuple(logprobs))

    def _likelihoods(self, ask: Ask, weights: Path | None) -> list[Answer]:
        """One forward pass over each chat, by the weights that are asked about."""
        targets = self._transcriber.targets(ask.requests)
        answers = [Answer(len(target.ids)) for target in targets]
        encoded = [target.ids for target in targets]
        fitting = [i for i, ids in enumerate(encoded) if len(ids) < self.context]
        for batch in even_batches(fitting, encoded, self._config.judge_batch_size):
            found = last_turns(
                self._loaded.beside(weights),
                [targets[i] for i in batch],
                self.chat.tokenizer.pad_token_id,
                f"{self._setting}.judge_batch_size",
            )
            for index, logprobs in zip(batch, found, strict=True):
                answers[index] = Answer(len(encoded[index]), logprobs=logprobs)
        return answers

    def _generate_batch(
        self, encoded: list[list[int]], prefix: _Prefix, sampling: Sampling, seed: int
    ) -> list[list[int]]:
        import torch

        ids, mask = self._pad(encoded, len(prefix.ids))
        ids, mask = ids.repeat_interleave(sampling.n, 0), mask.repeat_interleave(sampling.n, 0)
        with (
            torch.inference_mode(),
            torch.random.fork_rng(devices=self._rng_devices()),
            memory_for(f"{self._setting}.batch_size", ids, sampling.max_tokens),
        ):
            torch.manual_seed(seed)
            return self._written(ids, mask, prefix.cache_for(len(ids)), sampling)

    def _written(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any, sampling: Sampling) -> list[list[int]]:
        """New tokens of each row. Rows that ended leave the batch every few tokens, or they would be computed on."""
        import torch

        rows: list[list[int]] = [[] for _ in ids]
        going, left = list(range(len(ids))), sampling.max_tokens
        while True:
            # Which rows a stop string has ended is known to `generate` alone.
            tokens = left if sampling.stop else min(left, _TOKENS_BETWEEN_LOOKS)
            out = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=cache,
                generation_config=self._generation_config(sampling, tokens),
                **({"tokenizer": self.chat.tokenizer} if sampling.stop else {}),
            )
            new = out.sequences[:, ids.shape[1] :]
            for row, ids_of_row in zip(going, new.tolist(), strict=True):
                rows[row] += ids_of_row
            left -= tokens
            kept = [i for i, row in enumerate(going) if not set(self._transcriber.eos).intersection(rows[row])]
            if not (kept and left):
                return rows
            ids, cache = out.sequences, out.past_key_values
            mask = torch.cat([mask, torch.ones_like(new)], dim=1)
            if len(kept) < len(going):
                chosen = torch.tensor(kept, device=ids.device)
                going, ids, mask = [going[i] for i in kept], ids[chosen], mask[chosen]
                cache.batch_select_indices(chosen)

    def _generation_config(self, sampling: Sampling, tokens: int) -> Any:
        from transformers import GenerationConfig

        return GenerationConfig(
            max_new_tokens=tokens,
            return_dict_in_generate=True,
            do_sample=sampling.temperature > 0,
            **(
                {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
                if sampling.temperature
                else {}
            ),
            **({"stop_strings": list(sampling.stop)} if sampling.stop else {}),
            eos_token_id=list(self._transcriber.eos),
            pad_token_id=self.chat.tokenizer.pad_token_id,
        )

    def _pad(self, encoded: list[list[int]], prefix_length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask of shape (sequences, longest), padded between the shared prefix and each row's own tokens."""
        import torch

        longest = max(map(len, encoded))
        pad = self.chat.tokenizer.pad_token_id
        ids, mask = [], []
        for row in encoded:
            gap = longest - len(row)
            ids.append(row[:prefix_length] + [pad] * gap + row[prefix_length:])
            mask.append([1] * prefix_length + [0] * gap + [1] * (len(row) - prefix_length))
        device = self._model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def _shared_prefix(self, encoded: list[list[int]]) -> _Prefix:
        if len(encoded) < 2:
            return _Prefix([], None)
        first, last = min(encoded), max(encoded)  # what these two share, all rows between them share
        length = 0
        while length < min(len(first), len(last)) and first[length] == last[length]:
            length += 1
        length = min(length, min(map(len, encoded)) - 1)
        if length < _SHORTEST_SHARED_PREFIX:
            return _Prefix([], None)
        return _Prefix(first[:length], self._forward_prefix(first[:length]))

    def _forward_prefix(self, prefix: list[int]) -> Cache:
        import torch

        ids = torch.tensor([prefix], device=self._model.device)
        with torch.inference_mode(), memory_for(f"{self._setting}.batch_size", ids):
            cache: Cache = self._model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
        return cache

    def _rng_devices(self) -> list[int]:
        return [self._model.device.index or 0] if self._model.device.type == "cuda" else []
