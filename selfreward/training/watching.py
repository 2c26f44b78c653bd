"""What is told of every step, and when nothing good can come of further ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

_EXPLODED = 100.0
"""Times the median of the steps before; clipping takes care of less, and of a single step."""
_HARMLESS = 1.0
"""A norm that is no explosion, however small those before were: pairs that are learned leave next to nothing."""
_IN_A_ROW, _TO_COMPARE_WITH = 3, 10


def reporter(say: Callable[[dict[str, Any]], None]) -> Any:
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            # Nothing comes back from there, and hours of steps would follow.
            if "loss" in logs and not goes_well(steps_of(state.log_history)):
                control.should_training_stop = True

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            say({"step": state.global_step, "steps": state.max_steps})

    return Reporter()


def steps_of(log: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """What the Trainer logged of each step."""
    return [entry for entry in log if "loss" in entry]


def goes_well(steps: Sequence[Mapping[str, float]]) -> bool:
    """Whether the last of these steps leaves a model that further ones can improve."""
    return bool(steps) and is_finite(steps[-1]) and explosion(steps) is None


def explosion(steps: Sequence[Mapping[str, float]]) -> str | None:
    """In words, that the gradients of the last steps are far beyond those before; None where they are not."""
    norms = [step["grad_norm"] for step in steps if "grad_norm" in step]
    before, last = norms[:-_IN_A_ROW], norms[-_IN_A_ROW:]
    usual = median(before) if len(before) >= _TO_COMPARE_WITH else 0.0
    if not usual or not min(last) > max(_EXPLODED * usual, _HARMLESS):
        return None
    return (
        f"the gradient exploded: in the last {_IN_A_ROW} of {len(steps)} steps its norm was {min(last):.3g} or more, "
        f"and {usual:.3g} is the median of those before"
    )


def is_finite(logged: Mapping[str, float]) -> bool:
    return all(math.isfinite(logged[name]) for name in ("loss", "grad_norm") if name in logged)
