"""An engine that has its answers ready, beside a real tokenizer: what is measured with it is everything else."""

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Answer, Ask, Completion, NextToken, Sampling
from selfreward.readings.scale import Scale
from selfreward.seeding.own_format import read_eft

Write = Callable[[random.Random], Completion]
_SCALE = Scale(min=0, max=5)


class StubEngine:
    """Answers with what ``writers`` write; which one is told by the tokens that may be written.

    It does not tokenise what it is asked: that is an engine's work, and ``bench.py vllm`` has it.
    """

    def __init__(self, chat: Chat, context: int, writers: Mapping[int, Write]) -> None:
        self.chat, self.context = chat, context
        self.seconds = 0.0
        """Spent in here."""
        self._writers = writers
        self._random = random.Random(0)
        self._waiting: Ask | None = None
        self._tickets = 0

    def use(self, adapter: Path | None) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`."""

    def wants_more(self) -> bool:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        return self._waiting is None

    def submit(self, ask: Ask) -> int:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        self._waiting = ask
        self._tickets += 1
        return self._tickets

    def collect(self) -> tuple[int, list[Answer]]:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        begin = time.perf_counter()
        ask, self._waiting = self._waiting, None
        assert ask is not None, "nothing was asked"
        answers = [self._answer(ask.how) for _ in ask.requests]
        self.seconds += time.perf_counter() - begin
        return self._tickets, answers

    def pause(self) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`."""

    def close(self) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`."""

    def _answer(self, how: Sampling | NextToken) -> Answer:
        assert isinstance(how, Sampling), "it only writes"
        write = self._writers[how.max_tokens]
        return Answer(100, tuple(write(self._random) for _ in range(how.n)))


def response_writer(chat: Chat, eft: Path, end: int) -> Write:
    """Writes responses of five to nine English sentences, no two alike, with the tokens that they would have."""
    sentences = _sentences([seed.response for seed in read_eft(eft, _SCALE)])
    tokenised = chat.tokenizer([f" {sentence}" for sentence in sentences], add_special_tokens=False)["input_ids"]
    opening = chat.tokenizer(sentences, add_special_tokens=False)["input_ids"]
    places = range(len(sentences))

    def write(rng: random.Random) -> Completion:
        first, *more = rng.choices(places, k=rng.randint(5, 9))
        ids = list(opening[first])
        for place in more:
            ids += tokenised[place]
        text = " ".join([sentences[first], *(sentences[place] for place in more)])
        return Completion(text, (*ids, end), "stop", special_tokens=False)

    return write


def judgment_writer(eft: Path, unreadable: float) -> Write:
    """Writes three sentences of a rationale and a verdict, which is missing in this share of them."""
    sentences = _sentences([seed.rationale for seed in read_eft(eft, _SCALE)])

    def write(rng: random.Random) -> Completion:
        rationale = " ".join(rng.choices(sentences, k=3))
        verdict = "" if rng.random() < unreadable else f"\nScore: {rng.randint(0, 5)}"
        return Completion(rationale + verdict, (), "stop", special_tokens=False)

    return write


def _sentences(texts: Sequence[str]) -> list[str]:
    found = (sentence.strip() for text in texts for sentence in re.split(r"(?<=[.!?])\s+", text))
    return sorted({sentence for sentence in found if sentence})
