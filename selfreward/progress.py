"""How a run is going, on stderr: live bars where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

Advance = Callable[[float], None]
"""Told how many units of a stage are done in all."""

_SECONDS_BETWEEN_LINES = 15.0


class Reporter:
    """Talks to the person at the keyboard, or to a log."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def stage(self, title: str, total: int, done: int) -> Iterator[Advance]:
        """A stage under way, with its rate and the time left."""
        if self._console.is_terminal:
            with self._bar() as bar:
                task = bar.add_task(title, total=total, completed=done)
                yield lambda completed: bar.update(task, completed=completed)
        else:
            yield self._lines(title, total, done)

    def _bar(self) -> Progress:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _rate_column(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        return Progress(*columns, console=self._console)

    def _lines(self, title: str, total: int, done: int) -> Advance:
        started = last = time.monotonic()

        def advance(completed: float) -> None:
            nonlocal last
            now = time.monotonic()
            if completed < total and now - last < _SECONDS_BETWEEN_LINES:
                return
            last = now
            new = completed - done
            rate = new / max(now - started, 1e-9)
            left = f", {(total - completed) / rate:.0f} s left" if rate and completed < total else ""
            # Training counts in shares of the whole, everything else in units.
            how_far = f"{completed:.0%}" if total == 1 else f"{completed:.0f}/{total}, {rate:.2g}/s"
            print(f"{title}: {how_far}{left}", file=sys.stderr, flush=True)

        return advance


def _rate_column() -> ProgressColumn:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.2g}/s" if task.speed else "")

    return Rate()
