"""Runs pieces of work that ask an engine, side by side, so that its queue never runs dry."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from selfreward.engines.protocol import Answer, Ask, Asking, Engine, How, Request

T = TypeVar("T")


def ask(engine: Engine, requests: Sequence[Request], how: How) -> list[Answer]:
    """One ask, waited for."""
    ticket = engine.submit(Ask(requests, how))
    found, answers = engine.collect()
    assert found == ticket, "the engine had other work under way"
    return answers


def work_through(engine: Engine, pieces: Iterable[Asking[T]]) -> Iterator[T]:
    """The results of all pieces, in their order, each as soon as it and all before it are done.

    A piece is begun when the engine wants more. What a begun piece asks again goes before what was not begun yet.
    """
    coming = enumerate(pieces)
    working: dict[int, tuple[int, Asking[T]]] = {}  # ticket -> number of the piece, the piece
    further: deque[tuple[int, Asking[T], Ask]] = deque()
    done: dict[int, T] = {}
    following = 0
    begun_all = False
    while True:
        while following in done:  # first of all: what is done is stored before anything else can go wrong
            yield done.pop(following)
            following += 1
        while engine.wants_more() and not (begun_all and not further):
            if further:
                number, piece, wanted = further.popleft()
                working[engine.submit(wanted)] = number, piece
                continue
            try:
                number, piece = next(coming)
            except StopIteration:
                begun_all = True
                continue
            _advance(number, piece, None, further, done)
        if working:
            ticket, answers = engine.collect()
            number, piece = working.pop(ticket)
            _advance(number, piece, answers, further, done)
        elif begun_all and not further and following not in done:
            return


def _advance(
    number: int,
    piece: Asking[T],
    answers: list[Answer] | None,
    further: deque[tuple[int, Asking[T], Ask]],
    done: dict[int, T],
) -> None:
    try:
        wanted = piece.send(answers) if answers is not None else next(piece)
    except StopIteration as ended:
        done[number] = ended.value
    else:
        further.append((number, piece, wanted))
