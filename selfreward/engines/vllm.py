"""vLLM: the engine of GPU servers; its settings, and what is checked before a run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import Annotated, Any, Literal

from pydantic import Field

from selfreward.engines.chat import Chat
from selfreward.engines.loading import NO_LIMIT, DType, ModelConfig, dtype_name, load_chat
from selfreward.engines.protocol import Capability, Engine, EngineRoom
from selfreward.engines.vllm_engine import VllmEngine
from selfreward.errors import EngineError
from selfreward.models import resolve_model
from selfreward.records import Frozen, NotInKey

_CHECK = "selfreward.engines.vllm_arguments"
_NOT_IN_KEY = frozenset(
    {
        *("enforce_eager", "max_num_batched_tokens", "kv_cache_memory_bytes", "cpu_offload_gb", "block_size"),
        *("pipeline_parallel_size", "distributed_executor_backend", "disable_custom_all_reduce", "async_scheduling"),
        *("enable_chunked_prefill", "max_parallel_loading_workers", "disable_log_stats"),
    }
)
"""Entries of ``extra`` that may change while a run goes on: how much memory is used and where, not what is asked."""


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
    extra: Annotated[dict[str, Any], NotInKey(_NOT_IN_KEY)] = Field(default_factory=dict)
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
            _check_extra(self.extra, setting)
        _check_gpus(self.tensor_parallel_size * self.data_parallel_size, setting)

    def chat_of(self, model: ModelConfig) -> Chat | None:
        """The tokenizer and chat template that its engine will have; loads no weights."""
        return load_chat(model)

    def open(self, model: ModelConfig, room: EngineRoom) -> Engine:
        """An engine that answers as the root model until it is told to use an adapter."""
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


def vllm_is_installed() -> bool:
    """Whether there is a vLLM to import; does not import it."""
    return importlib.util.find_spec("vllm") is not None


def _check_extra(extra: dict[str, Any], setting: str) -> None:
    """In a process of its own: importing vLLM takes seconds, and this one shall stay small."""
    words = [sys.executable, "-m", _CHECK, setting, *sorted(extra)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(done.stdout.strip() or f"{setting}.extra could not be checked: {done.stderr.strip()[-500:]}")


def _check_gpus(wanted: int, setting: str) -> None:
    """Where there are CUDA devices, enough of them; other machines are left to vLLM."""
    import torch

    there = torch.cuda.device_count()
    if 0 < there < wanted:
        raise EngineError(
            f"{setting}.tensor_parallel_size times {setting}.data_parallel_size is {wanted}, and {there} GPUs are "
            "seen here; lower one of them, or see what CUDA_VISIBLE_DEVICES says"
        )
