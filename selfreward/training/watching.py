"""What is told of every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def reporter(say: Callable[[dict[str, Any]], None]) -> Any:
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            # Nothing comes back from there, and hours of steps would follow.
            if not is_finite(logs):
                control.should_training_stop = True

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            say({"step": state.global_step, "steps": state.max_steps})

    return Reporter()


def is_finite(logged: Mapping[str, float]) -> bool:
    return all(math.isfinite(logged[name]) for name in ("loss", "grad_norm") if name in logged)
