"""Likelihood sinks: training makes chosen responses less likely too, and something else takes their place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from selfreward.diagnosis import thresholds as at
from selfreward.diagnosis.family import Check, Family, Figures, at_least, at_most, objective
from selfreward.diagnosis.numbers import ratio, rounded, within

_LOGGED = ("loss", "logps/chosen", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies")
"""As TRL names them; rewards are beta times policy minus reference, in nats."""
_NEEDS = "no training.jsonl of preference training"
_AGAINST = f"{_NEEDS} against a reference model"
_ALONE = f"{_NEEDS} without a reference model"
_STEPS = ("trained", at.MIN_PAIRS)


def _last(name: str, now: Figures) -> float | None:
    return within(now, "preference_training", name, "last")


def _against_reference(name: str, now: Figures) -> float | None:
    """TRL calls it a reward in both cases; without a reference it is a plain log-probability."""
    return None if _alone(now) else _last(name, now)


def _alone(now: Figures) -> bool:
    return objective(now).get("reference") is False


def _chosen_change(now: Figures, before: Figures) -> float | None:
    return ratio(_last("logps/chosen", now), within(now, "preference_training", "logps/chosen", "first"))


def _first_and_last(now: Figures, before: Figures) -> str | None:
    first, last = within(now, "preference_training", "logps/chosen", "first"), _last("logps/chosen", now)
    return None if first is None or last is None else f"{first:.1f} -> {last:.1f}"


def _margin(now: Figures, before: Figures) -> float | None:
    last, first = _last("rewards/margins", now), within(now, "preference_training", "rewards/margins", "first")
    return last - first if _alone(now) and last is not None and first is not None else last


class Likelihood(Family):
    """Of what training logged; the reference is M_t, where the objective has one."""

    failure = "likelihood sinks"
    checks = (
        Check("chosen_logps", "logps/chosen, by quarters", _first_and_last, needs=_NEEDS),
        Check(
            "chosen_reward",
            "rewards/chosen, last quarter",
            lambda now, _: _against_reference("rewards/chosen", now),
            at_least(at.CHOSEN_REWARD),
            "Training makes even the chosen responses less likely than they were.",
            "a lower train.learning_rate, a higher train.beta, fewer train.epochs, or pairs that are less alike",
            _AGAINST,
            _STEPS,
        ),
        Check(
            "chosen_sinks",
            "logps/chosen, last / first",
            lambda now, before: _chosen_change(now, before) if _alone(now) else None,
            at_most(at.CHOSEN_SINKS),
            "Training makes even the chosen responses less likely than they were.",
            "a lower train.learning_rate, fewer train.epochs, or a higher train.nll_weight",
            _ALONE,
            _STEPS,
        ),
        Check(
            "reward_margin",
            "rewards/margins, last quarter",
            _margin,
            at_least(at.REWARD_MARGIN),
            "Training hardly tells chosen from rejected.",
            "a higher train.learning_rate or more train.epochs, or a better judge: noise cannot be learned",
            _NEEDS,
            _STEPS,
        ),
        Check(
            "reward_accuracy",
            "rewards/accuracies, last",
            lambda now, _: _against_reference("rewards/accuracies", now),
            at_least(at.REWARD_ACCURACY),
            "In about as many pairs the rejected side gains as the chosen one.",
            "a higher train.learning_rate or more train.epochs, or a better judge: noise cannot be learned",
            _AGAINST,
            _STEPS,
        ),
    )


def training_figures(steps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the first and the last quarter of all steps: single steps see other pairs and cannot be compared.

    ``steps`` are the lines of training.jsonl; nothing where they hold no preference training.
    """
    found: dict[str, list[float]] = {name: [] for name in _LOGGED}
    for step in steps:
        for name, values in found.items():
            value = step.get(name)
            if isinstance(value, (int, float)) and math.isfinite(value):
                values.append(value)
    if not found["rewards/margins"]:
        return {}
    quarters = {name: _quarters(values) for name, values in found.items() if values}
    return {"preference_training": quarters}


def _quarters(values: list[float]) -> dict[str, float]:
    size = -(-len(values) // 4)
    return {"first": rounded(fmean(values[:size])), "last": rounded(fmean(values[-size:]))}
