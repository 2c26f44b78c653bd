"""Our vLLM engine, with stages' asks one after the other, against ``vllm.LLM.generate`` with all of it in one call.

Both have the same token ids and sampling parameters, the same vLLM arguments, and have seen the same before, so that
their prefix caches are alike. Both stay loaded, and one waits while the other works.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import workload
from benchmarks.measured import Absent, Figure, Measured, Setting, environment
from benchmarks.turns import Rounds, Side, Work, as_json, ratio, take_turns, timed
from selfreward.engines.child import Child
from selfreward.engines.driver import work_through
from selfreward.engines.loading import ModelConfig, dtype_name, eos_ids, torch_device
from selfreward.engines.protocol import Asking, Engine, EngineRoom, NextToken, Request, Sampling
from selfreward.engines.vllm import VllmConfig
from selfreward.engines.vllm_checks import vllm_is_installed
from selfreward.judges import JudgeConfig
from selfreward.judges.expected import ExpectedConfig
from selfreward.judges.sampled import SampledConfig
from selfreward.models import resolve_model
from selfreward.records import derive_seed
from selfreward.stages.responses import ResponsesConfig

TITLE = "our vLLM engine against the same requests in one call of vllm.LLM.generate"
_TARGET = 0.97
_ROUNDS = 3
_WARM_UP = 1000
"""Number of a round whose requests no other has."""

Pieces = Callable[[int], Iterator[Asking[Any]]]
"""The stages' work of a round, by its number."""


@dataclass(frozen=True)
class Size:
    """How much is asked in a round."""

    prompts: int
    shard: int
    n: int
    max_tokens: int
    judged: int
    max_num_seqs: int | None
    """None leaves it to vLLM, as most users will."""
    max_model_len: int = 1024


_FULL = Size(prompts=64, shard=16, n=2, max_tokens=48, judged=64, max_num_seqs=64)
_ON_GPU = Size(prompts=1024, shard=256, n=4, max_tokens=128, judged=4096, max_num_seqs=None)
_TINY = Size(prompts=4, shard=2, n=2, max_tokens=4, judged=4, max_num_seqs=8)


def measure(setting: Setting) -> Measured:
    """Generation, expected scores, and sampled judgments, each in rounds of their own."""
    if not vllm_is_installed():
        raise Absent("vLLM is not installed here")
    on_cpu = torch_device().type == "cpu"
    size = _TINY if setting.tiny else _FULL if on_cpu else _ON_GPU
    config = VllmConfig(
        max_num_seqs=size.max_num_seqs,
        max_model_len=size.max_model_len,
        gpu_memory_utilization=None if on_cpu else 0.4,  # there are two of them
        extra={"enforce_eager": True, "kv_cache_memory_bytes": 1 << 30} if on_cpu else {},
    )
    model = ModelConfig(name=setting.model)
    engine = config.open(model, EngineRoom(setting.scratch / "engine"))
    straight = Straight(model, engine, config, setting)
    try:
        rounds = compare(work(engine, size), engine, straight, setting)
    finally:
        straight.close()
        engine.close()
    figures = [Figure(what, ratio(found), "x", _TARGET) for what, found in rounds.items()]
    sides = {what: as_json(found, "engine", "straight") for what, found in rounds.items()}
    return Measured(figures, {"size": vars(size), "rounds": sides})


def work(engine: Engine, size: Size) -> dict[str, Pieces]:
    """What is measured, by name."""
    written = ResponsesConfig(n=size.n, max_tokens=size.max_tokens)
    expected = JudgeConfig(method=ExpectedConfig(min_mass=0.0))
    sampled = JudgeConfig(method=SampledConfig(max_tokens=size.max_tokens, retries=0))

    def judging(config: JudgeConfig, count: int) -> Pieces:
        def pieces(number: int) -> Iterator[Asking[Any]]:
            prompts, responses = workload.answered(count, number * count)
            return workload.judging(engine, prompts, responses, config, size.shard)

        return pieces

    return {
        "generation": lambda number: workload.generating(
            engine, workload.prompts(size.prompts, number * size.prompts), written, size.shard
        ),
        "expected-score judging": judging(expected, size.judged),
        "sampled judging": judging(sampled, max(1, size.judged // 3)),
    }


def compare(pieces: dict[str, Pieces], engine: Engine, straight: "Straight", setting: Setting) -> dict[str, Rounds]:
    """All rounds of each kind of work, after a round that warms both sides up."""

    def ours(kind: Pieces) -> Side:
        return lambda number: timed(lambda: _tokens(engine, kind, number))

    def theirs(kind: Pieces) -> Side:
        return lambda number: straight.do(_requests(kind, number))

    rounds = {}
    for what, kind in pieces.items():
        ours(kind)(_WARM_UP)
        theirs(kind)(_WARM_UP)
        rounds[what] = take_turns(ours(kind), theirs(kind), setting, _ROUNDS)
    return rounds


class Straight:
    """A fresh process with a ``vllm.LLM``."""

    def __init__(self, model: ModelConfig, engine: Engine, config: VllmConfig, setting: Setting) -> None:
        assert engine.chat is not None
        self._chat, self._eos = engine.chat, eos_ids(model, engine.chat)
        self._on_cpu = torch_device().type == "cpu"
        surroundings = {**environment(), "VLLM_WORKER_MULTIPROC_METHOD": "spawn", "VLLM_NO_USAGE_STATS": "1"}
        if self._on_cpu:
            surroundings["TORCHDYNAMO_DISABLE"] = "1"  # as our own child does
        self._child = Child("benchmarks.straight_vllm", setting.scratch / "straight.log", surroundings)
        arguments = {
            "model": resolve_model(model.name, model.revision).path,
            "load_format": "safetensors",
            "dtype": dtype_name(config.dtype),
            "max_model_len": config.max_model_len,
            "max_num_seqs": config.max_num_seqs,
            "gpu_memory_utilization": config.gpu_memory_utilization,
            "seed": 0,
            "enable_prefix_caching": True,
            **config.extra,
        }
        self._child.send({name: value for name, value in arguments.items() if value is not None})
        self._answer()

    def do(self, requests: list[tuple[Request, Sampling | NextToken, int]]) -> Work:
        """All requests in one call. Tokens are those written, or those read where one is asked about."""
        ids = self._chat.encode([r.messages for r, _, _ in requests], [r.prefill for r, _, _ in requests])
        read_only = isinstance(requests[0][1], NextToken)
        self._child.send([(own, self._how(*request[1:])) for own, request in zip(ids, requests, strict=True)])
        seconds, tokens = self._answer()
        return Work(sum(map(len, ids)) if read_only else tokens, seconds)

    def close(self) -> None:
        """End the process."""
        self._child.end()

    def _answer(self) -> Any:
        try:
            return self._child.connection.recv()
        except EOFError:
            raise RuntimeError(f"vllm.LLM ended: {self._child.cause()}\n{self._child.last_words()}") from None

    def _how(self, how: Sampling | NextToken, index: int) -> dict[str, Any]:
        """What our own child makes of it."""
        if isinstance(how, NextToken):
            return {"max_tokens": 1, "temperature": 0.0, "logprob_token_ids": list(how.token_ids), "detokenize": False}
        return {
            "n": how.n,
            "max_tokens": how.max_tokens,
            "temperature": how.temperature,
            "top_p": how.top_p,
            "stop_token_ids": list(self._eos),
            "seed": None if self._on_cpu else derive_seed(how.seed, index),
            "detokenize": False,
        }


def _requests(kind: Pieces, number: int) -> list[tuple[Request, Sampling | NextToken, int]]:
    """All that the pieces ask, each with its place in its ask."""
    found = []
    for piece in kind(number):
        asked = next(piece)
        found += [(request, asked.how, index) for index, request in enumerate(asked.requests)]
    return found


def _tokens(engine: Engine, kind: Pieces, number: int) -> float:
    """Do the pieces; gives the tokens written, or read where nothing is written."""
    tally: list[int] = []
    for _ in work_through(engine, (_counted(piece, tally) for piece in kind(number))):
        pass
    return sum(tally)


def _counted(piece: Asking[Any], tally: list[int]) -> Asking[Any]:
    """The piece, with the tokens of its answers noted in passing."""
    asked = next(piece)
    while True:
        answers = yield asked
        tally.extend(sum(len(one.token_ids) for one in a.completions) or a.prompt_tokens for a in answers)
        try:
            asked = piece.send(answers)
        except StopIteration as ended:
            return ended.value
