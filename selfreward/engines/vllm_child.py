"""The child process that holds vLLM: works through what it is sent, and says what is finished as it finishes.

``LLM.generate`` gives nothing before everything is done, so requests are put into its engine and the engine is stepped.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from selfreward.engines.loading import is_adapter
from selfreward.engines.vllm_messages import Failed, Finished, Generate, Ready, Retire, Rows, Serve, Sleep, Start
from selfreward.engines.vllm_weights import rank_of, refused, with_weights
from selfreward.errors import SelfRewardError

_SECONDS_TO_END = 10.0
_CPU_CACHE_LIMIT = 4 << 30
"""Most bytes of key-value cache on a CPU, where vLLM would take nearly all memory."""


class Worker:
    """A vLLM engine, and the weights that it answers with."""

    def __init__(self, start: Start, messages: queue.Queue[Any], connection: Connection) -> None:
        self._messages, self._connection = messages, connection
        self._serve: Serve = start.serve
        arguments, self._merged = with_weights(start)
        self._lora = bool(arguments.get("enable_lora"))
        self._max_rank = arguments.get("max_lora_rank", 0)
        from vllm import EngineArgs, LLMEngine
        from vllm.platforms import current_platform
        from vllm.usage.usage_lib import UsageContext

        self._on_cpu = current_platform.is_cpu()
        if self._on_cpu:
            arguments = {**_cpu_defaults(), **arguments}
            if arguments["enforce_eager"]:
                os.environ["TORCHDYNAMO_DISABLE"] = "1"  # or the sampler's few lines are compiled, for 20 seconds
        arguments = {"seed": 0, "disable_log_stats": True, "enable_prefix_caching": True, **arguments}
        # Without saying what it is for, vLLM takes its smallest batches.
        usage = UsageContext.LLM_CLASS
        self._engine: Any = LLMEngine.from_engine_args(EngineArgs(**arguments), usage_context=usage)
        self._keys: dict[str, Generate] = {}
        self._asleep = False
        self._say_ready()

    def work(self) -> None:
        """Until the parent is gone."""
        while True:
            while not self._engine.has_unfinished_requests() or not self._messages.empty():
                message = self._messages.get()
                if message is None:
                    self._engine.engine_core.shutdown()
                    return
                self._handle(message)
            finished = [self._finished(output) for output in self._engine.step() if output.finished]
            if finished:
                self._connection.send(Rows(finished))

    def _handle(self, message: Any) -> None:
        match message:
            case Serve():
                self._use(message)
            case Sleep():
                if not self._asleep:  # where there was no work for it, it was not woken
                    self._engine.reset_prefix_cache()
                    self._engine.sleep(level=1)
                    self._asleep = True
                self._say_ready()
            case _:
                self._wake()
                for work in message:
                    self._add(work)

    def _say_ready(self) -> None:
        self._connection.send(Ready(self._engine.vllm_config.scheduler_config.max_num_seqs))

    def _wake(self) -> None:
        if self._asleep:
            self._engine.wake_up()
            self._asleep = False

    def _use(self, serve: Serve) -> None:
        if self._merged or not (serve.weights is None or self._fits(serve.weights)):
            self._connection.send(Retire())
            return
        self._serve = serve
        if not self._asleep:  # going to sleep has emptied it
            self._engine.reset_prefix_cache()

    def _fits(self, adapter: str) -> bool:
        """Whether this very engine can take the adapter beside its model."""
        return self._lora and is_adapter(adapter) and refused(adapter) is None and rank_of(adapter) <= self._max_rank

    def _add(self, work: Generate) -> None:
        from vllm.lora.request import LoRARequest

        name = f"{work.key[0]}-{work.key[1]}"
        self._keys[name] = work
        lora = None
        if self._lora and self._serve.weights is not None:
            number = self._serve.number
            lora = LoRARequest(f"adapter-{number}", number, self._serve.weights)
        prompt = {"prompt_token_ids": list(work.prompt)}
        self._engine.add_request(name, prompt, self._parameters(work), lora_request=lora)

    def _parameters(self, work: Generate) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        schema = work.json_schema
        return SamplingParams(
            n=work.n,
            max_tokens=work.max_tokens,
            temperature=work.temperature,
            top_p=work.top_p,
            stop=list(work.stop) or None,
            stop_token_ids=list(work.stop_token_ids),
            # With one generator a request, vLLM's CPU workers die at 128 sequences.
            seed=None if self._on_cpu else work.seed,
            logprob_token_ids=list(work.logprobs_of) or None,
            structured_outputs=StructuredOutputsParams(json=dict(schema)) if schema else None,
            # Only stop strings need the text as it comes; it is made from the ids on the other side.
            detokenize=bool(work.stop),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _finished(self, output: Any) -> Finished:
        work = self._keys.pop(output.request_id)
        if work.logprobs_of:
            (found,) = output.outputs[0].logprobs
            return Finished(work.key, logprobs=tuple(found[token].logprob for token in work.logprobs_of))
        return Finished(work.key, tuple(tuple(one.token_ids) for one in output.outputs))


def _cpu_defaults() -> dict[str, Any]:
    import psutil

    # Compiling kernels needs a C++ compiler and minutes, and gives little on a CPU.
    quarter = psutil.virtual_memory().available // 4
    return {"enforce_eager": True, "kv_cache_memory_bytes": min(_CPU_CACHE_LIMIT, quarter)}


def _receive(connection: Connection, messages: queue.Queue[Any]) -> None:
    """Take everything at once, so that neither side ever waits for the other to read; None when the parent is gone."""
    while True:
        try:
            messages.put(connection.recv())
        except (EOFError, OSError):
            messages.put(None)
            threading.Timer(_SECONDS_TO_END, _end_group).start()
            return


def _end_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Serve the parent at the other end of the socket that is named by its number."""
    connection = Connection(int(arguments[0]))
    messages: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_receive, args=(connection, messages), daemon=True).start()
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"  # a fork would hold our end of the socket open
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    start = messages.get()
    try:
        if start is not None:
            Worker(start, messages, connection).work()
    except SelfRewardError as error:
        connection.send(Failed(str(error), dead=False))
    except tuple(_refusals()) as error:
        traceback.print_exc()
        connection.send(Failed(_gist(error), dead=False))
    except tuple(_deaths()) as error:
        traceback.print_exc()
        connection.send(Failed(_gist(error), dead=True))
    finally:  # whatever else it was: what vLLM started must not live on
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        _end_group()
    return 1


def _refusals() -> list[type[BaseException]]:
    """What vLLM raises where arguments or requests do not suit it."""
    found: list[type[BaseException]] = [ValueError, TypeError]
    with contextlib.suppress(ImportError):
        from vllm.exceptions import VLLMClientError

        found.append(VLLMClientError)
    return found


def _deaths() -> list[type[BaseException]]:
    """How it shows that vLLM cannot go on, or that one of its processes is gone."""
    found: list[type[BaseException]] = [RuntimeError, OSError, ImportError, MemoryError]
    with contextlib.suppress(ImportError):
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        found += [EngineDeadError, EngineGenerateError]
    return found


def _gist(error: BaseException) -> str:
    """The line of a message that says what is wrong; pydantic puts a count before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("Value error, ")]
    return next(iter([*said, *lines]), type(error).__name__)


if __name__ == "__main__":
    # vLLM starts its own processes by running this file again under another name.
    sys.exit(main(sys.argv[1:]))
