"""Intervals by resampling whole prompts: what one prompt's responses have in common makes no pair look independent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfreward.evaluation.sums import FIGURES, Sums
from selfreward.records import Frozen

RESAMPLES = 2000
_LEVEL = 0.95
_AT_ONCE = 256
"""Resamples held in memory together."""


class Figure(Frozen):
    """A share or a mean, with its 95% interval."""

    value: float | None
    """None where there is nothing to take it of."""
    low: float | None
    high: float | None
    """None where fewer than two prompts have a say."""
    n: int
    """Pairs, prompts or responses that it is the share or the mean of."""


def figures(prompts: Sequence[Sums], seed: int, names: Sequence[str] = FIGURES) -> dict[str, Figure]:
    """Each figure over all prompts, with the middle 95% of its values over resampled prompts.

    The same prompts are drawn for every figure, and for every judge of the same prompts. A resample in which a figure
    is not defined does not count for it.
    """
    import numpy as np

    sums = np.array([[prompt[name] for name in names] for prompt in prompts], dtype=float).reshape(-1, len(names), 2)
    above, below = sums[:, :, 0], sums[:, :, 1]
    voices = (below > 0).sum(axis=0)
    values = np.full((RESAMPLES, len(names)), np.nan)
    if len(prompts) > 1:
        draw = np.random.default_rng(seed)
        even = np.full(len(prompts), 1 / len(prompts))
        for start in range(0, RESAMPLES, _AT_ONCE):
            times = draw.multinomial(len(prompts), even, size=min(_AT_ONCE, RESAMPLES - start))
            own_below = times @ below
            np.divide(times @ above, own_below, out=values[start : start + len(times)], where=own_below > 0)
    found = {}
    for i, name in enumerate(names):
        total = float(below[:, i].sum())
        drawn = values[~np.isnan(values[:, i]), i]
        edges: Sequence[float | None] = (None, None)
        if voices[i] > 1:
            edges = [_rounded(float(edge)) for edge in np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])]
        value = _rounded(float(above[:, i].sum()) / total) if total else None
        found[name] = Figure(value=value, low=edges[0], high=edges[1], n=round(total))
    return found


def shares(prompts: Mapping[str, tuple[float, float]], seed: int) -> Figure:
    """One figure of its own, from numerator and denominator by prompt."""
    return figures([{"share": prompts[one]} for one in sorted(prompts)], seed, ("share",))["share"]


def _rounded(value: float) -> float:
    return round(value, 4) + 0.0  # no -0.0
