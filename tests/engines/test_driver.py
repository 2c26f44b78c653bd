"""Work that asks an engine: side by side, results in order, follow-ups first."""

from collections.abc import Iterator

from selfreward.engines.driver import ask, work_through
from selfreward.engines.protocol import Answer, Ask, Asking, Engine, Sampling


class Queue:
    """An engine with room for some asks that finishes the latest first; ``log`` tells what happened."""

    def __init__(self, room: int) -> None:
        self.room, self.log = room, list[str]()
        self._waiting: list[tuple[int, Ask]] = []
        self._tickets = 0

    def wants_more(self) -> bool:
        return len(self._waiting) < self.room

    def submit(self, ask: Ask) -> int:
        assert isinstance(ask.how, Sampling)
        self._tickets += 1
        self._waiting.append((self._tickets, ask))
        self.log.append(f"+{ask.how.seed}")
        return self._tickets

    def collect(self) -> tuple[int, list[Answer]]:
        ticket, ask = self._waiting.pop()
        assert isinstance(ask.how, Sampling)
        self.log.append(f"-{ask.how.seed}")
        return ticket, [Answer(ask.how.seed)]


def piece(number: int, follow_ups: int = 0) -> Asking[str]:
    """Asks once, and again as often as told; each time it gets its own answer."""
    for again in range(1 + follow_ups):
        seed = number + 100 * again
        (answer,) = yield Ask([], Sampling(1, seed=seed))
        assert answer.prompt_tokens == seed
    return f"piece {number}"


def silent(number: int) -> Asking[str]:
    """Needs no engine after all."""
    yield from ()
    return f"piece {number}"


def names(count: int) -> list[str]:
    return [f"piece {number}" for number in range(count)]


def run(engine: Queue, pieces: Iterator[Asking[str]]) -> list[str]:
    typed: Engine = engine  # type: ignore[assignment]
    return list(work_through(typed, pieces))


def test_results_keep_the_order_of_the_pieces() -> None:
    for room in (1, 2, 3, 50):
        engine = Queue(room)
        assert run(engine, (piece(n) for n in range(7))) == names(7)
        assert sorted(engine.log) == sorted([f"{sign}{n}" for n in range(7) for sign in "+-"])


def test_the_queue_is_kept_full() -> None:
    engine = Queue(3)
    run(engine, (piece(n) for n in range(6)))
    queued, lengths = 0, []
    for event in engine.log:
        queued += 1 if event[0] == "+" else -1
        if event[0] == "-":
            lengths.append(queued + 1)
    assert lengths == [3, 3, 3, 3, 2, 1]


def test_a_piece_is_begun_only_when_there_is_room() -> None:
    begun: list[int] = []

    def pieces() -> Iterator[Asking[str]]:
        for number in range(5):
            begun.append(number)
            yield piece(number)

    engine: Engine = Queue(1)  # type: ignore[assignment]
    results = work_through(engine, pieces())
    assert next(results) == "piece 0"
    assert begun == [0]


def test_what_a_begun_piece_asks_again_goes_first() -> None:
    engine = Queue(1)
    assert run(engine, (piece(n, follow_ups=2) for n in range(2))) == names(2)
    assert [event for event in engine.log if event[0] == "+"] == ["+0", "+100", "+200", "+1", "+101", "+201"]


def test_follow_ups_are_answered_after_the_last_piece_was_begun() -> None:
    for room in (1, 2, 10):
        assert run(Queue(room), (piece(n, follow_ups=n) for n in range(4))) == names(4)


def test_pieces_that_ask_nothing_have_results_too() -> None:
    assert run(Queue(2), iter([silent(0), piece(1), silent(2), silent(3)])) == names(4)
    assert run(Queue(2), iter([silent(0)])) == names(1)
    assert run(Queue(2), iter([])) == []


def test_one_ask() -> None:
    engine: Engine = Queue(1)  # type: ignore[assignment]
    assert ask(engine, [], Sampling(1, seed=5)) == [Answer(5)]
