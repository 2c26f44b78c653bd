"""An endpoint's queue: every request goes its own way, and an ask is finished when its last request is."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Answer, Ask, Likelihood, Reward, Sampling
from selfreward.engines.server_api import Api
from selfreward.engines.server_asking import Asker
from selfreward.engines.server_client import Endpoint, Line, Say

_QUEUED_ASKS = 3
_QUEUED_ROUNDS = 4
"""The queue is longer than both (the second in units of what is under way at once), so that while the slowest answer of
one ask is waited for there are enough of the following ones."""


@dataclass
class _Asked:
    """An ask under way."""

    answers: list[Answer]
    missing: int
    """Requests that have no answer yet."""


class ServerEngine:
    """Keeps an endpoint busy with as many requests at once as it may be given."""

    def __init__(self, api: Api, call: Callable[[Say], Endpoint], say: Say, concurrency: int, context: int) -> None:
        self._api, self._call, self._tell, self._concurrency = api, call, say, concurrency
        self.context = context
        self._line: Line | None = None
        self._asked: dict[int, _Asked] = {}
        self._finished: list[int] = []
        self._failure: BaseException | None = None
        self._tickets = 0
        # What the other thread has for this one: a request's place and its answer, or something for the user.
        self._arrived: queue.SimpleQueue[tuple[int, int, Future[Answer]] | str] = queue.SimpleQueue()
        self._asker = Asker(api, self._arrived.put)

    @property
    def chat(self) -> Chat | None:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        return self._api.chat

    def use(self, weights: Path | None) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`. It is one fixed model."""
        assert weights is None, "an endpoint was given weights"

    def wants_more(self) -> bool:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        while not self._arrived.empty():
            self._take(self._arrived.get())
        if any(not asked.missing for asked in self._asked.values()):
            return False  # what is finished is stored first
        unanswered = sum(asked.missing for asked in self._asked.values())
        return len(self._asked) < _QUEUED_ASKS or unanswered < _QUEUED_ROUNDS * self._concurrency

    def submit(self, ask: Ask) -> int:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        assert not isinstance(ask.how, Likelihood | Reward), "an endpoint gives neither"
        self._tickets += 1
        ticket = self._tickets
        prepared = self._api.prepare(ask.requests)
        asked = self._asked[ticket] = _Asked([Answer(p.tokens or 0) for p in prepared], 0)
        new_tokens = ask.how.max_tokens if isinstance(ask.how, Sampling) else 1
        for index, one in enumerate(prepared):
            if (one.tokens or 0) + new_tokens <= self.context:
                asked.missing += 1
                line = self._started()
                future = line.begin(self._asker.answer(line.endpoint, index, one, ask.how))
                future.add_done_callback(partial(self._answered, ticket, index))
        if not asked.missing:
            self._finished.append(ticket)
        return ticket

    def collect(self) -> tuple[int, list[Answer]]:
        """See :class:`~selfreward.engines.protocol.Engine`. What is finished comes before the news of a failure."""
        while not self._finished:
            if self._failure is not None:
                raise self._failure
            self._take(self._arrived.get())
        ticket = self._finished.pop(0)
        return ticket, self._asked.pop(ticket).answers

    def pause(self) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        self._asked.clear()
        self._finished.clear()
        self._failure = None
        if self._line is not None:
            line, self._line = self._line, None
            line.end()

    def close(self) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        self.pause()

    def _started(self) -> Line:
        if self._line is None:
            self._line = Line(self._call(self._arrived.put))
        return self._line

    def _answered(self, ticket: int, index: int, future: Future[Answer]) -> None:
        """In the other thread."""
        self._arrived.put((ticket, index, future))

    def _take(self, news: tuple[int, int, Future[Answer]] | str) -> None:
        if isinstance(news, str):
            self._tell(news)
            return
        ticket, index, future = news
        if ticket not in self._asked:  # it was dropped
            return
        failure = future.exception()
        if failure is not None:
            self._failure = self._failure or failure
            return
        asked = self._asked[ticket]
        asked.answers[index] = future.result()
        asked.missing -= 1
        if not asked.missing:
            self._finished.append(ticket)
