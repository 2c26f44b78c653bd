"""Holds the names in ``engine.extra`` against the arguments of the vLLM that is installed."""

import difflib
import sys
from dataclasses import fields

_OURS = frozenset(
    {
        *("model", "tokenizer", "revision", "served_model_name", "trust_remote_code", "load_format"),
        *("dtype", "quantization", "max_model_len", "max_num_seqs", "gpu_memory_utilization", "enable_sleep_mode"),
        *("tensor_parallel_size", "data_parallel_size"),
        *("enable_lora", "max_lora_rank", "max_loras", "enable_prefix_caching"),
    }
)
"""Arguments that follow from other settings."""


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
