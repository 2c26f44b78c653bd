"""What is checked of vLLM before a run; as a program, the names in ``extra`` against the installed vLLM's arguments."""

import difflib
import importlib.util
import subprocess
import sys
from dataclasses import fields
from typing import Any

from selfreward.errors import EngineError

_OURS = frozenset(
    {
        *("model", "tokenizer", "revision", "served_model_name", "trust_remote_code", "load_format"),
        *("dtype", "quantization", "max_model_len", "max_num_seqs", "gpu_memory_utilization", "enable_sleep_mode"),
        *("tensor_parallel_size", "data_parallel_size"),
        *("enable_lora", "max_lora_rank", "max_loras", "enable_prefix_caching"),
    }
)
"""Arguments that follow from other settings."""


NOT_IN_KEY = frozenset(
    {
        *("enforce_eager", "max_num_batched_tokens", "kv_cache_memory_bytes", "cpu_offload_gb", "block_size"),
        *("pipeline_parallel_size", "distributed_executor_backend", "disable_custom_all_reduce", "async_scheduling"),
        *("enable_chunked_prefill", "max_parallel_loading_workers", "disable_log_stats"),
    }
)
"""Entries of ``extra`` that may change while a run goes on: how much memory is used and where, not what is asked."""


def vllm_is_installed() -> bool:
    """Whether there is a vLLM to import; does not import it."""
    return importlib.util.find_spec("vllm") is not None


def check_extra(extra: dict[str, Any], setting: str) -> None:
    """In a process of its own: importing vLLM takes seconds, and this one shall stay small."""
    words = [sys.executable, "-m", __name__, setting, *sorted(extra)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(done.stdout.strip() or f"{setting}.extra could not be checked: {done.stderr.strip()[-500:]}")


def check_gpus(wanted: int, setting: str) -> None:
    """Where there are CUDA devices, enough of them; other machines are left to vLLM."""
    import torch

    there = torch.cuda.device_count()
    if 0 < there < wanted:
        raise EngineError(
            f"{setting}.tensor_parallel_size times {setting}.data_parallel_size is {wanted}, and {there} GPUs are "
            "seen here; lower one of them, or see what CUDA_VISIBLE_DEVICES says"
        )


def main(arguments: list[str]) -> int:
    """``SETTING NAME …``: say which of the names vLLM does not have, or are not for ``extra``; the exit code."""
    from vllm import EngineArgs

    setting, *names = arguments
    known = {field.name for field in fields(EngineArgs)}
    for name in names:
        if name in _OURS:
            print(f"{setting}.extra.{name}: follows from other settings; see docs/settings.md")
            return 1
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            print(f"{setting}.extra.{name}: the vLLM that is installed has no such argument{hint}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
