"""Two sides that take turns, so that whatever else the machine does falls on both."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.measured import Setting


@dataclass(frozen=True)
class Work:
    """So much was done in so many seconds."""

    amount: float
    seconds: float

    @property
    def rate(self) -> float:
        """Amount per second."""
        return self.amount / self.seconds

    def as_json(self) -> dict[str, float]:
        """For the report."""
        return {"amount": round(self.amount, 1), "seconds": round(self.seconds, 3), "rate": round(self.rate, 2)}


Side = Callable[[int], Work]
"""Does the work of one round, by its number."""
Rounds = list[tuple[Work, Work]]
"""What the first and the second side did in each."""


def timed(work: Callable[[], float]) -> Work:
    """``work`` gives the amount that it did."""
    begin = time.perf_counter()
    amount = work()
    return Work(amount, time.perf_counter() - begin)


def take_turns(first: Side, second: Side, setting: Setting, rounds: int) -> Rounds:
    """Both sides, round after round, the one that begins changing; a round that would not end in time is not begun."""
    found: Rounds = []
    longest = 0.0
    for number in range(setting.times(rounds)):
        if found and setting.seconds_left() < longest:
            break
        begin = time.monotonic()
        if number % 2 == 0:
            one = first(number)
            other = second(number)
        else:
            other = second(number)
            one = first(number)
        found.append((one, other))
        longest = max(longest, time.monotonic() - begin)
    return found


def ratio(rounds: Rounds) -> float:
    """How much faster the first side is: the middle one of all rounds."""
    return median(one.rate / other.rate for one, other in rounds)


def total(works: Sequence[Work]) -> Work:
    """All of it as one."""
    return Work(sum(work.amount for work in works), sum(work.seconds for work in works))


def as_json(rounds: Rounds, first: str, second: str) -> dict[str, Any]:
    """All rounds for the report."""
    return {
        first: [one.as_json() for one, _ in rounds],
        second: [other.as_json() for _, other in rounds],
        "ratios": [round(one.rate / other.rate, 3) for one, other in rounds],
    }
