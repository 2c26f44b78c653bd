"""The other side of ``bench.py vllm``: a process that has only ``vllm.LLM``, and gives it all work in one call."""

import sys
import time
from multiprocessing.connection import Connection
from typing import Any


def main(arguments: list[str]) -> int:
    """Arguments of ``LLM`` come first, over the socket; then (token ids, sampling parameters) of each piece of work."""
    connection = Connection(int(arguments[0]))
    from vllm import LLM, SamplingParams

    llm = LLM(**connection.recv())
    connection.send("ready")
    while True:
        try:
            work: list[tuple[list[int], dict[str, Any]]] = connection.recv()
        except EOFError:
            return 0
        prompts: list[Any] = [{"prompt_token_ids": ids} for ids, _ in work]
        parameters = [SamplingParams(**how) for _, how in work]
        begin = time.perf_counter()
        outputs = llm.generate(prompts, parameters, use_tqdm=False)
        seconds = time.perf_counter() - begin
        connection.send((seconds, sum(len(one.token_ids) for output in outputs for one in output.outputs)))


if __name__ == "__main__":
    # vLLM starts its own processes by running this file again under another name.
    sys.exit(main(sys.argv[1:]))
