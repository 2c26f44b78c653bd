"""The batched transformers engine against one prompt at a time, on the demo's work.

The other side does what most published scripts do: a call of ``generate`` for each candidate of each prompt, and a
forward pass over each whole question for each score. It has the same weights, settings and token ids, and as a call for
each takes long, only every fourth prompt and response: both sides are compared by what they do in a second.
"""

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

from benchmarks import workload
from benchmarks.measured import Figure, Measured, Setting
from benchmarks.turns import Work, timed, total
from selfreward.config import RunConfig
from selfreward.engines import resolve_engine
from selfreward.engines.chat import Chat
from selfreward.engines.driver import work_through
from selfreward.engines.loading import ModelConfig, dtype_name, eos_ids, load_weights
from selfreward.engines.protocol import Engine, EngineRoom, NextToken, Request
from selfreward.records import Message, Prompt, Response
from selfreward.stages.responses import ResponsesConfig

TITLE = "batched transformers engine against one prompt at a time, on the demo's work"
_TARGET = 5.0
_SHARE = 4
"""One in so many is done one at a time."""


def measure(setting: Setting) -> Measured:
    """Shard after shard of the demo's work: batched, then one at a time."""
    config, model = _demo(setting), ModelConfig(name=setting.model)
    engine = resolve_engine(config.engine).open(model, EngineRoom(setting.scratch))
    single = OneAtATime(model, engine, config.responses)
    _warm_up(engine, single, config)
    done: dict[str, list[Work]] = {name: [] for name in ("written", "judged", "written_alone", "judged_alone", "by_n")}
    responses, longest = 0, 0.0
    prompts = workload.prompts(config.prompts.count)
    for start in range(0, len(prompts), config.shard_size):
        if start and setting.seconds_left() < longest:
            break
        begin = time.monotonic()
        responses += _shard(engine, single, config, prompts[start : start + config.shard_size], done)
        longest = max(longest, time.monotonic() - begin)
    engine.close()
    return _measured({name: total(works) for name, works in done.items()}, responses, done)


class OneAtATime:
    """The model and nothing around it."""

    def __init__(self, model: ModelConfig, engine: Engine, config: ResponsesConfig) -> None:
        from transformers import GenerationConfig

        assert engine.chat is not None
        self._chat: Chat = engine.chat
        self._model: Any = load_weights(model, dtype_name("auto")).eval()
        self._model.generation_config = GenerationConfig()
        self._ends = list(eos_ids(model, self._chat))
        self._sampling = {
            sequences: GenerationConfig(
                num_return_sequences=sequences,
                max_new_tokens=config.max_tokens,
                do_sample=True,
                temperature=config.temperature,
                top_p=config.top_p,
                top_k=0,
                eos_token_id=self._ends,
                pad_token_id=self._chat.tokenizer.pad_token_id,
            )
            for sequences in (1, config.n)
        }

    def write(self, prompt: Prompt, sequences: int) -> int:
        """So many completions of a prompt in one call; gives the tokens written."""
        import torch

        ids = self._tensor(self._chat.encode([(Message(role="user", content=prompt.text),)])[0])
        with torch.inference_mode():
            out = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=self._sampling[sequences],
            )
        rows = out[:, ids.shape[1] :].tolist()
        return sum(next((i + 1 for i, token in enumerate(row) if token in self._ends), len(row)) for row in rows)

    def score(self, request: Request, tokens: Sequence[int]) -> list[float]:
        """Log-probabilities of the scores."""
        import torch

        ids = self._tensor(self._chat.encode([request.messages], [request.prefill])[0])
        with torch.inference_mode():
            logits = self._model(input_ids=ids, logits_to_keep=1).logits[0, -1]
        found: list[float] = logits.float().log_softmax(-1)[list(tokens)].tolist()
        return found

    def _tensor(self, ids: Sequence[int]) -> Any:
        import torch

        return torch.tensor([ids], device=self._model.device)


def _demo(setting: Setting) -> RunConfig:
    config = workload.demo()
    if not setting.tiny:
        return config
    return config.model_copy(
        update={
            "prompts": config.prompts.model_copy(update={"count": 4}),
            "responses": config.responses.model_copy(update={"max_tokens": 6, "n": 2}),
            "shard_size": 4,
        }
    )


def _warm_up(engine: Engine, single: OneAtATime, config: RunConfig) -> None:
    """Weights are loaded when they are first used."""
    few = config.responses.model_copy(update={"max_tokens": 2, "n": 2})
    list(work_through(engine, workload.generating(engine, workload.prompts(2), few, 2)))
    single.write(workload.prompts(1)[0], 1)


def _shard(
    engine: Engine, single: OneAtATime, config: RunConfig, prompts: Sequence[Prompt], done: dict[str, list[Work]]
) -> int:
    """All of it batched and a part of it one at a time; gives the number of responses."""
    written: list[Response] = []

    def write() -> float:
        for shard in work_through(engine, workload.generating(engine, prompts, config.responses, len(prompts))):
            written.extend(shard.records)
        return sum(len(response.token_ids) for response in written)

    def judge() -> float:
        pieces = workload.judging(engine, prompts, written, config.judge, len(written))
        return sum(len(shard.records) for shard in work_through(engine, pieces))

    done["written"].append(timed(write))
    few = prompts[::_SHARE]
    done["written_alone"].append(
        timed(lambda: sum(single.write(prompt, 1) for prompt in few for _ in range(config.responses.n)))
    )
    done["by_n"].append(timed(lambda: sum(single.write(prompt, config.responses.n) for prompt in few)))
    done["judged"].append(timed(judge))
    done["judged_alone"].append(timed(lambda: _score_alone(engine, single, config, prompts, written[::_SHARE])))
    return len(written)


def _score_alone(
    engine: Engine, single: OneAtATime, config: RunConfig, prompts: Sequence[Prompt], responses: Sequence[Response]
) -> int:
    (piece,) = workload.judging(engine, prompts, responses, config.judge, len(responses))
    asked = next(islice(piece, 1))
    assert isinstance(asked.how, NextToken), "the demo judges by expected scores"
    return len([single.score(request, asked.how.token_ids) for request in asked.requests])


def _measured(sums: dict[str, Work], responses: int, done: dict[str, list[Work]]) -> Measured:
    tokens = sums["written"].amount / responses
    together = tokens / sums["written"].rate + 1 / sums["judged"].rate
    alone = tokens / sums["written_alone"].rate + 1 / sums["judged_alone"].rate
    figures = [
        Figure("generation and judging together", alone / together, "x", _TARGET),
        Figure("generation", sums["written"].rate / sums["written_alone"].rate),
        Figure("expected-score judging", sums["judged"].rate / sums["judged_alone"].rate),
        Figure("generation, against all candidates of a prompt in one call", sums["written"].rate / sums["by_n"].rate),
    ]
    shards = {name: [work.as_json() for work in works] for name, works in done.items()}
    return Measured(figures, {"responses": responses, "tokens_per_response": round(tokens, 1), "shards": shards})
