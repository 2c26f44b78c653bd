"""One child process of the vLLM engine, as the parent knows it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from selfreward.engines.child import Child
from selfreward.engines.protocol import NextToken, Sampling
from selfreward.engines.vllm_messages import Generate, Key, Start
from selfreward.records import derive_seed

_CHILD = "selfreward.engines.vllm_child"
_GREEDY = 1e-5
"""Below this temperature vLLM takes the most likely token."""


@dataclass
class Worker:
    """A child with a copy of the model, and what it was given to do."""

    child: Child
    scratch: Path
    """Where it may lay down weights."""
    max_num_seqs: int | None
    merging: bool
    """Whether it was started with adapters merged."""
    ready: bool = False
    doing: dict[Key, Generate] = field(default_factory=dict)
    sequences: int = 0
    """That it was given and has not finished."""

    def give(self, work: Generate) -> None:
        """Note what it is to do."""
        self.doing[work.key] = work
        self.sequences += work.n

    def done(self, key: Key) -> Generate | None:
        """What it has finished with that; None for what nobody waits for any more."""
        work = self.doing.pop(key, None)
        self.sequences -= work.n if work else 0
        return work

    @classmethod
    def start(cls, log: Path, environment: Mapping[str, str], start: Start, max_num_seqs: int | None) -> Worker:
        """A new process that loads the model; what it prints goes to the log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        child = Child(_CHILD, log, environment)
        scratch = log.parent / f".tmp-weights-{child.pid}"  # a name that a run sweeps away after a crash
        child.send(replace(start, scratch=str(scratch)))
        return cls(child, scratch, max_num_seqs, start.merge_adapter)

    @property
    def half(self) -> int:
        """Half of the sequences that it works on at once."""
        return max(1, (self.max_num_seqs or 256) // 2)

    def last_words(self) -> str:
        """For an error: the end of its log, and where that is."""
        return f"Its last words ({self.child.log}):\n{self.child.last_words()}"

    def end(self, *, at_once: bool = False) -> None:
        self.child.end(at_once=at_once)
        shutil.rmtree(self.scratch, ignore_errors=True)


def request_to_vllm(key: Key, prompt: list[int], how: Sampling | NextToken, eos: tuple[int, ...]) -> Generate:
    """One request as a child is told of it. Its seed hangs on its place in the ask alone."""
    if isinstance(how, NextToken):
        return Generate(key, prompt, max_tokens=1, temperature=0.0, logprobs_of=how.token_ids)
    greedy = how.temperature < _GREEDY
    return Generate(
        key=key,
        prompt=prompt,
        max_tokens=how.max_tokens,
        n=1 if greedy else how.n,  # vLLM refuses to say the same thing several times
        temperature=0.0 if greedy else how.temperature,
        top_p=how.top_p,
        stop=how.stop,
        stop_token_ids=eos,
        seed=derive_seed(how.seed, key[1]),
        json_schema=how.json_schema,
    )
