"""Run the command line, and SIGKILL the process right before its N-th durable write: die_after.py N ARGUMENTS…

Durable writes are the renames that put files in place and the lines of events.jsonl.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import selfreward.storage.durable
import selfreward.storage.events
from selfreward.cli import main

left = [int(sys.argv.pop(1))]


def counted(write: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return write(*arguments, **options)

    return wrapper


os.replace = counted(os.replace)  # type: ignore[assignment]
selfreward.storage.events.EventLog.write = counted(selfreward.storage.events.EventLog.write)  # type: ignore[method-assign]
sys.exit(main())
