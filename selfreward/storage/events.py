"""events.jsonl: what happened when, one line each with a checksum."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from selfreward.storage import lines


def now() -> str:
    """ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class EventLog:
    """The log of one run. Opening it mends a line that a crash cut short."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines.mend(path)

    def write(self, event: str, **fields: Any) -> None:
        """Append an event."""
        lines.append(self._path, {"time": now(), "event": event, **fields})


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Whole events, oldest first; damaged lines are passed over."""
    return (event for _, event in lines.read(path) if event is not None)
