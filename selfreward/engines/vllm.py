"""vLLM: the engine of GPU servers. It runs in child processes; this is the side that asks them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from selfreward.engines.chat import Chat
from selfreward.engines.loading import NO_LIMIT, DType, ModelConfig, context_length, dtype_name, eos_ids, load_chat
from selfreward.engines.protocol import Answer, Ask, Capability, Engine, EngineRoom, NextToken, Sampling
from selfreward.engines.transcribing import Transcriber
from selfreward.engines.vllm_checks import NOT_IN_KEY, check_extra, check_gpus, vllm_is_installed
from selfreward.engines.vllm_messages import Failed, Finished, Generate, Ready, Retire, Rows, Serve, Sleep, Start
from selfreward.engines.vllm_worker import Worker, request_to_vllm
from selfreward.errors import EngineError
from selfreward.models import resolve_model
from selfreward.records import Frozen, NotInKey

_QUEUED_BATCHES = 8
_QUEUED_ASKS = 3
"""The queue is kept longer than both (the first in units of what runs at once), so that while the longest completion of
one ask is waited for there is always enough of the following ones to work on."""
_AT_ONCE_UNTIL_KNOWN = 64


class VllmConfig(Frozen):
    """vLLM, in a process of its own."""

    type: Literal["vllm"] = "vllm"
    tensor_parallel_size: Annotated[int, NotInKey] = Field(default=1, ge=1)
    """GPUs that share the model between them."""
    data_parallel_size: Annotated[int, NotInKey] = Field(default=1, ge=1)
    """Copies of the model, each on GPUs of its own, that share the work."""
    gpu_memory_utilization: Annotated[float | None, NotInKey] = Field(default=None, gt=0, le=1)
    """Share of the GPU's memory to use; vLLM's own default where not set."""
    max_num_seqs: Annotated[int | None, NotInKey] = Field(default=None, ge=1)
    """Most sequences worked on at once; vLLM's own default where not set. Smaller needs less memory."""
    max_model_len: int | None = Field(default=None, ge=16)
    """Most tokens of prompt and completion together; the model's own limit where not set."""
    dtype: DType = "auto"
    """``auto``: bfloat16 on GPUs and on CPUs with AMX, float32 on other CPUs."""
    quantization: str | None = None
    """vLLM's name of a way to hold the weights, such as ``fp8``; as the model comes where not set."""
    merge_adapter: bool = False
    """Merge each adapter into the weights before they are loaded. Faster answers, for a reload in each iteration."""
    sleep: Annotated[bool, NotInKey] = False
    """During training keep the engine asleep, its weights in the machine's memory, rather than end it."""
    restarts: Annotated[int, NotInKey] = Field(default=2, ge=0)
    """How often an engine that died is started again, each time with half of ``max_num_seqs``."""
    extra: Annotated[dict[str, Any], NotInKey(NOT_IN_KEY)] = Field(default_factory=dict)
    """Further arguments of vLLM's ``EngineArgs``, by its names."""

    def capabilities(self) -> frozenset[Capability]:
        """What engines of this kind can do."""
        return frozenset({"adapters", "prefill", "next_token", "json_schema"})

    def check(self, model: ModelConfig, setting: str = "engine") -> None:
        """See to it that vLLM is there and takes these settings, before hours of work.

        Raises:
            EngineError: it is not, or does not.
        """
        if not vllm_is_installed():
            raise EngineError(
                f"{setting}.type=vllm: vLLM is not installed here; run scripts/setup.sh, or `pip install "
                f"selfreward[vllm]` on a machine with a GPU, or take {setting}.type=transformers"
            )
        if self.extra:
            check_extra(self.extra, setting)
        check_gpus(self.tensor_parallel_size * self.data_parallel_size, setting)

    def chat_of(self, model: ModelConfig) -> Chat | None:
        """The tokenizer and chat template that its engine will have; loads no weights."""
        return load_chat(model)

    def open(self, model: ModelConfig, room: EngineRoom) -> Engine:
        """An engine that answers as the root model until it is told to use other weights."""
        return VllmEngine(model, self, room)

    def arguments(self, model: ModelConfig, context: int, max_num_seqs: int | None) -> dict[str, Any]:
        """Of vLLM's EngineArgs; what is None is left to vLLM."""
        wanted = {
            "model": str(resolve_model(model.name, model.revision).path),
            "trust_remote_code": model.trust_remote_code,
            "load_format": "safetensors",
            "dtype": dtype_name(self.dtype),
            "max_model_len": context if context < NO_LIMIT else None,
            "tensor_parallel_size": self.tensor_parallel_size,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "quantization": self.quantization,
            "max_num_seqs": max_num_seqs,
            "enable_sleep_mode": self.sleep or None,
            **self.extra,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def environment(self, number: int) -> dict[str, str]:
        """Of the copy with this number: where there are several, each sees its own GPUs only."""
        if self.data_parallel_size == 1:
            return {}
        size = self.tensor_parallel_size
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        devices = named.split(",") if named else [str(i) for i in range(size * self.data_parallel_size)]
        return {"CUDA_VISIBLE_DEVICES": ",".join(devices[number * size : (number + 1) * size])}


@dataclass
class _Asked:
    """An ask under way."""

    ask: Ask
    answers: list[Answer]
    missing: int
    """Requests that have no answer yet."""


class VllmEngine:
    """Keeps the queues of its workers full, and starts again those that die."""

    def __init__(self, model: ModelConfig, config: VllmConfig, room: EngineRoom) -> None:
        self.chat = load_chat(model)
        self.context = context_length(model, config.max_model_len)
        self._transcriber = Transcriber(self.chat, model.reasoning_tags, eos_ids(model, self.chat))
        self._model, self._config, self._room = model, config, room
        self._weights: Path | None = None
        self._served = 0
        self._workers: list[Worker] = []
        self._asked: dict[int, _Asked] = {}
        self._finished: list[int] = []
        self._tickets = 0
        self._asleep = False
        self._restarts_left = config.restarts
        self._max_num_seqs = config.max_num_seqs
        self._merging = config.merge_adapter

    def use(self, weights: Path | None) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`. A running vLLM is handed a new adapter beside the old; a
        whole model is loaded by a new one, and the old one ends."""
        if weights == self._weights:
            return
        self._weights = weights
        self._served += 1
        if self._merging:
            self._end_workers()
        for worker in self._workers:
            worker.child.send(self._serve())

    def wants_more(self) -> bool:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        if self._finished:
            return False  # what is finished is stored first
        at_once = sum(worker.max_num_seqs or _AT_ONCE_UNTIL_KNOWN for worker in self._workers)
        queued = sum(worker.sequences for worker in self._workers)
        return len(self._asked) < _QUEUED_ASKS or queued < _QUEUED_BATCHES * at_once

    def submit(self, ask: Ask) -> int:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        assert isinstance(ask.how, Sampling | NextToken), "vLLM 0.32 dies over a prompt under an adapter"
        self._start_workers()
        self._tickets += 1
        ticket = self._tickets
        encoded = self._transcriber.encode(ask.requests)
        new_tokens = ask.how.max_tokens if isinstance(ask.how, Sampling) else 1
        asked = self._asked[ticket] = _Asked(ask, [Answer(len(ids)) for ids in encoded], 0)
        shares: dict[int, list[Generate]] = {}
        for index, ids in enumerate(encoded):
            if len(ids) + new_tokens <= self.context:
                work = request_to_vllm((ticket, index), ids, ask.how, self._transcriber.eos)
                number = min(range(len(self._workers)), key=lambda w: self._workers[w].sequences)
                self._workers[number].give(work)
                shares.setdefault(number, []).append(work)
                asked.missing += 1
        for number, share in shares.items():
            self._workers[number].child.send(share)
        if not asked.missing:
            self._finished.append(ticket)
        return ticket

    def collect(self) -> tuple[int, list[Answer]]:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        while not self._finished:
            by_connection = {worker.child.connection: worker for worker in self._workers}
            # One at a time: what raises must not take along what another worker finished.
            self._hear(by_connection[wait(list(by_connection))[0]])  # type: ignore[index]
        ticket = self._finished.pop(0)
        return ticket, self._asked.pop(ticket).answers

    def pause(self) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`. Returns when the processes are gone, or asleep."""
        idle = not any(worker.doing for worker in self._workers)
        self._asked.clear()
        self._finished.clear()
        if self._asleep:
            return
        if self._config.sleep and idle and self._workers and all(worker.ready for worker in self._workers):
            for worker in self._workers:
                worker.child.send(Sleep())
            self._asleep = all(_fell_asleep(worker) for worker in self._workers)
        if not self._asleep:
            self._end_workers()

    def close(self) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        self._end_workers(at_once=any(worker.doing or not worker.ready for worker in self._workers))

    def processes(self) -> list[int]:
        """Ids of the children that run now, each the leader of a process group."""
        return [worker.child.pid for worker in self._workers]

    def _start_workers(self) -> None:
        self._asleep = False  # work wakes them
        for number in range(len(self._workers), self._config.data_parallel_size):
            self._workers.append(self._start(number))

    def _start(self, number: int) -> Worker:
        config, model = self._config, self._model
        arguments = config.arguments(model, self.context, self._max_num_seqs)
        start = Start(arguments, self._serve(), self._merging, model)
        log = f"vllm-{number}.log" if number else "vllm.log"
        return Worker.start(self._room.directory / log, config.environment(number), start, self._max_num_seqs)

    def _serve(self) -> Serve:
        return Serve(str(self._weights) if self._weights else None, self._served)

    def _hear(self, worker: Worker) -> None:
        try:
            message = worker.child.connection.recv()
        except (EOFError, OSError):
            self._bring_back(worker, "")
        else:
            self._take(worker, message)

    def _take(self, worker: Worker, message: Any) -> None:
        match message:
            case Ready(max_num_seqs):
                worker.ready, worker.max_num_seqs = True, max_num_seqs
            case Rows(finished):
                for row in finished:
                    self._keep(worker, row)
            case Retire():  # it cannot take the new adapter while it runs
                self._replace(worker)
            case Failed(cause, dead):
                if not dead and not self._merge_instead(worker, cause):
                    raise EngineError(f"vLLM refused: {cause}\n{worker.last_words()}")
                if dead:
                    self._bring_back(worker, cause)

    def _keep(self, worker: Worker, done: Finished) -> None:
        work = worker.done(done.key)
        ticket, index = done.key
        if work is None or ticket not in self._asked:
            return
        asked = self._asked[ticket]
        how, prompt_tokens = asked.ask.how, len(work.prompt)
        if isinstance(how, Sampling):
            rows = done.rows * (how.n // len(done.rows))  # greedily they are all the same, and written once
            completions = tuple(self._transcriber.completion(row, how.stop) for row in rows)
            asked.answers[index] = Answer(prompt_tokens, completions)
        else:
            asked.answers[index] = Answer(prompt_tokens, logprobs=done.logprobs)
        asked.missing -= 1
        if not asked.missing:
            self._finished.append(ticket)

    def _bring_back(self, worker: Worker, cause: str) -> None:
        """Start a dead worker again with half of its sequences, and give it what it had not finished.

        Raises:
            EngineError: it died too often, or before it was ready.
        """
        worker.end()
        why = worker.child.cause() or cause or f"its process {worker.child.how_it_ended()}"
        if self._merge_instead(worker, why):
            return
        if not worker.ready or not self._restarts_left:
            when = "" if worker.ready else " while it was starting"
            after = f" after {self._config.restarts} restarts" if worker.ready and self._config.restarts else ""
            raise EngineError(
                f"vLLM died{when}{after}: {why}. Finished work is kept; run the same command again with less: --set "
                f"{self._room.setting}.type=vllm --set {self._room.setting}.max_num_seqs={worker.half}, or a lower "
                f"{self._room.setting}.gpu_memory_utilization\n"
                f"{worker.last_words()}"
            )
        self._restarts_left -= 1
        self._max_num_seqs = worker.half  # for later starts too: what was too much will be too much again
        self._room.say(f"vLLM died ({why}); it is started again with max_num_seqs={worker.half}, and goes on")
        self._replace(worker)

    def _merge_instead(self, worker: Worker, why: str) -> bool:
        """Whether it was the adapter that vLLM could not load; then it is merged from now on, and work goes on.

        Most such adapters are known by their config before they are loaded; this is for those that are not.
        """
        if worker.merging or self._weights is None or not ("LoRA" in why or "target module" in why):
            return False
        if not self._merging:
            self._room.say(f"vLLM cannot serve this adapter ({why}); adapters are merged into the weights from now on")
        self._merging = True
        self._replace(worker)
        return True

    def _replace(self, worker: Worker) -> None:
        number = self._workers.index(worker)
        worker.end()
        self._workers[number] = self._start(number)
        for work in worker.doing.values():
            self._workers[number].give(work)
        if worker.doing:
            self._workers[number].child.send(list(worker.doing.values()))

    def _end_workers(self, *, at_once: bool = False) -> None:
        self._asleep = False
        self._asked.clear()
        self._finished.clear()
        while self._workers:  # one that is not ended yet stays known, should Ctrl-C come in between
            self._workers[-1].end(at_once=at_once)
            self._workers.pop()


def _fell_asleep(worker: Worker) -> bool:
    """Whether it says so; one that has anything else to say is better ended."""
    try:
        return isinstance(worker.child.connection.recv(), Ready)
    except (EOFError, OSError):
        return False
