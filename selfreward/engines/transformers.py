"""Batched generation with transformers: the engine of laptops, and the one whose runs repeat byte for byte."""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from selfreward.engines.loading import DType, ModelConfig, context_length, load_chat, load_weights
from selfreward.engines.protocol import Answer, Completion, Engine, NextToken, Request, Sampling
from selfreward.errors import EngineError
from selfreward.records import Frozen, NotInKey, derive_seed

if TYPE_CHECKING:
    import torch
    from transformers import Cache

_SHORTEST_SHARED_PREFIX = 16
"""Below this many tokens, a shared prefix saves less than copying its cache costs."""


class TransformersConfig(Frozen):
    """Batched ``generate`` of transformers, on the GPU or the CPU."""

    type: Literal["transformers"] = "transformers"
    batch_size: Annotated[int, NotInKey] = Field(default=32, ge=1)
    """Sequences generated at once. Smaller needs less memory."""
    judge_batch_size: Annotated[int, NotInKey] = Field(default=8, ge=1)
    """Sequences in one forward pass of expected-score judging, where long texts meet no decoding."""
    dtype: DType = "auto"
    """``auto``: bfloat16 on accelerators, float32 on CPUs."""
    max_context: int | None = Field(default=None, ge=16)
    """Most tokens of prompt and completion together; the model's own limit where not set."""

    def open(self, model: ModelConfig, adapter: Path | None) -> Engine:
        """An engine that answers as the model with the adapter over it."""
        return TransformersEngine(model, self, adapter)


@dataclass(frozen=True, slots=True)
class _Prefix:
    """Tokens that all requests of one call begin with, and the cache of a forward pass over them."""

    ids: list[int]
    cache: Cache | None

    def cache_for(self, rows: int) -> Cache | None:
        """A copy for a batch of ``rows``, which the batch may write to."""
        cache = copy.deepcopy(self.cache)
        if cache is not None:
            cache.batch_repeat_interleave(rows)
        return cache


class TransformersEngine:
    """Loads the root model once and lays the adapter over it."""

    def __init__(self, model: ModelConfig, config: TransformersConfig, adapter: Path | None) -> None:
        import torch
        from transformers import GenerationConfig

        self.chat = load_chat(model)
        self._config = config
        self._reasoning_tags = model.reasoning_tags
        weights: Any = load_weights(model, config.dtype)
        if adapter is not None:
            from peft import PeftModel

            weights = PeftModel.from_pretrained(weights, str(adapter))
            if weights.dtype == torch.float32:
                # Lossless enough only in float32; it halves the time per token on a CPU.
                weights = weights.merge_and_unload()
        self._model: Any = weights.eval()
        self.context = context_length(model, config.max_context)
        eos = weights.generation_config.eos_token_id
        named = eos if isinstance(eos, list) else [eos]
        # SFT ends turns with the tokenizer's token, and some models' generation configs do not name it.
        ends = {*named, self.chat.tokenizer.eos_token_id}
        self._eos: list[int] = sorted(token for token in ends if token is not None)
        # A model's own defaults (repetition_penalty, top_k=50, …) would fill in whatever ours leave open.
        weights.generation_config = GenerationConfig()

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[tuple[int, Answer]]:
        """See :class:`~selfreward.engines.protocol.Engine`. Batches are formed by length within this one call."""
        encoded = self._encode(requests)
        fitting, too_long = self._sort_out(encoded, sampling.max_tokens)
        yield from ((i, Answer(len(encoded[i]), ())) for i in too_long)
        prefix = self._shared_prefix([encoded[i] for i in fitting])
        per_batch = max(1, self._config.batch_size // sampling.n)
        for number, batch in enumerate(_even_batches(fitting, encoded, per_batch)):
            seed = derive_seed(sampling.seed, number)
            rows = self._generate_batch([encoded[i] for i in batch], prefix, sampling, seed)
            for position, index in enumerate(batch):
                own = rows[position * sampling.n : (position + 1) * sampling.n]
                yield index, Answer(len(encoded[index]), tuple(self._completion(row, sampling) for row in own))

    def next_token(self, requests: Sequence[Request], token_ids: Sequence[int]) -> Iterator[tuple[int, NextToken]]:
        """See :class:`~selfreward.engines.protocol.Engine`. One forward pass over each request."""
        import torch

        encoded = self._encode(requests)
        fitting, too_long = self._sort_out(encoded, 1)
        yield from ((i, NextToken(len(encoded[i]), ())) for i in too_long)
        prefix = self._shared_prefix([encoded[i] for i in fitting])
        for batch in _even_batches(fitting, encoded, self._config.judge_batch_size):
            ids, mask = self._pad([encoded[i] for i in batch], len(prefix.ids))
            with torch.inference_mode(), _memory_for("judge_batch_size", ids):
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
                yield index, NextToken(len(encoded[index]), tuple(logprobs))

    def close(self) -> None:
        """Give the model's memory back, on the accelerator too."""
        import torch

        self._model = None
        gc.collect()
        if torch.accelerator.is_available():
            torch.accelerator.memory.empty_cache()

    def _encode(self, requests: Sequence[Request]) -> list[list[int]]:
        return self.chat.encode([r.messages for r in requests], [r.prefill for r in requests])

    def _sort_out(self, encoded: Sequence[Sequence[int]], new_tokens: int) -> tuple[list[int], list[int]]:
        """Positions of the requests that fit the context, and of those that do not."""
        fitting: list[int] = []
        too_long: list[int] = []
        for i, ids in enumerate(encoded):
            (fitting if len(ids) + new_tokens <= self.context else too_long).append(i)
        return fitting, too_long

    def _generate_batch(
        self, encoded: list[list[int]], prefix: _Prefix, sampling: Sampling, seed: int
    ) -> list[list[int]]:
        import torch

        ids, mask = self._pad(encoded, len(prefix.ids))
        ids, mask = ids.repeat_interleave(sampling.n, 0), mask.repeat_interleave(sampling.n, 0)
        with (
            torch.inference_mode(),
            torch.random.fork_rng(devices=self._rng_devices()),
            _memory_for("batch_size", ids, sampling.max_tokens),
        ):
            torch.manual_seed(seed)
            out = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=prefix.cache_for(len(ids)),
                generation_config=self._generation_config(sampling),
                **({"tokenizer": self.chat.tokenizer} if sampling.stop else {}),
            )
        rows: list[list[int]] = out[:, ids.shape[1] :].tolist()
        return rows

    def _generation_config(self, sampling: Sampling) -> Any:
        from transformers import GenerationConfig

        return GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=sampling.temperature > 0,
            **(
                {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
                if sampling.temperature
                else {}
            ),
            **({"stop_strings": list(sampling.stop)} if sampling.stop else {}),
            eos_token_id=self._eos,
            pad_token_id=self.chat.tokenizer.pad_token_id,
        )

    def _completion(self, row: list[int], sampling: Sampling) -> Completion:
        pad = self.chat.tokenizer.pad_token_id
        if pad not in self._eos:  # a row that a stop string ended is filled up with padding
            while row and row[-1] == pad:
                row = row[:-1]
        ended = next((i for i, token in enumerate(row) if token in self._eos), None)
        ids = row if ended is None else row[: ended + 1]
        text = self.chat.decode(ids)
        stopped = ended is not None
        for stop in sampling.stop:
            text, found, _ = text.partition(stop)
            stopped = stopped or bool(found)
        written = ids if ended is None else ids[:-1]
        return Completion(
            text=text,
            token_ids=tuple(ids),
            finish_reason="stop" if stopped else "length",
            special_tokens=self._holds_special(text, written),
        )

    def _holds_special(self, text: str, token_ids: Sequence[int]) -> bool:
        """Whether something other than reasoning tags, which are added tokens in many models, is special in it."""
        for tag in self._reasoning_tags:
            text = text.replace(tag, " ")
        added = self.chat.tokenizer.added_tokens_encoder
        control = self.chat.control_ids - {added[tag] for tag in self._reasoning_tags if tag in added}
        return self.chat.spells_special(text) or not control.isdisjoint(token_ids)

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
        with torch.inference_mode(), _memory_for("batch_size", ids):
            cache: Cache = self._model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
        return cache

    def _rng_devices(self) -> list[int]:
        return [self._model.device.index or 0] if self._model.device.type == "cuda" else []


@contextmanager
def _memory_for(setting: str, ids: torch.Tensor, new_tokens: int = 0) -> Iterator[None]:
    """Turns an out-of-memory into an error that names the setting to lower."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        rows, length = ids.shape
        raise EngineError(
            f"out of memory with {rows} sequences of up to {length + new_tokens} tokens; run the same command again "
            f"with --set engine.{setting}={max(1, rows // 2)} (finished work is kept)"
        ) from error


def _even_batches(indices: Sequence[int], encoded: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Batches of similar lengths, the longest first, so that too large a batch fails at once."""
    by_length = sorted(indices, key=lambda i: len(encoded[i]), reverse=True)
    for start in range(0, len(by_length), size):
        yield by_length[start : start + size]
