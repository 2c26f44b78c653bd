"""All families together: an iteration's records seen once, and its figures held against their limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from selfreward.diagnosis.attacks import Attacks
from selfreward.diagnosis.contrast import Contrast
from selfreward.diagnosis.diversity import Diversity
from selfreward.diagnosis.family import Family, Figures, Finding, look
from selfreward.diagnosis.judge import Judge
from selfreward.diagnosis.lengths import Lengths
from selfreward.diagnosis.likelihood import Likelihood
from selfreward.diagnosis.meta_judge import MetaJudge
from selfreward.diagnosis.order import Order
from selfreward.diagnosis.scores import Scores
from selfreward.records import Judgment, PreferencePair, Prompt, Response

FAMILIES: tuple[type[Family], ...] = (
    *(Lengths, Scores, Judge, Attacks, Order, MetaJudge),
    *(Contrast, Likelihood, Diversity),
)
"""In the order in which they are shown."""


def record_figures(
    prompts: Iterable[Prompt],
    responses: Iterable[Response],
    judgments: Iterable[Judgment],
    pairs: Iterable[PreferencePair],
    top: float | None = None,
    wanted: Sequence[type[Family]] = FAMILIES,
) -> dict[str, Any]:
    """The figures of every family that is wanted. Each stream is read once, in order; only numbers and ids are kept.

    One prompt's judgments stand together. ``top`` is the highest score of the judge's scale, where it is known.
    """
    families = [Scores(top) if family is Scores else family() for family in wanted]
    for prompt in prompts:
        for family in families:
            family.prompt(prompt)
    for response in responses:
        for family in families:
            family.response(response)
    for _, group in groupby(judgments, lambda judgment: judgment.prompt_id):
        of_prompt = list(group)
        for family in families:
            family.judgments(of_prompt)
    for pair in pairs:
        for family in families:
            family.pair(pair)
    return {name: value for family in families for name, value in family.figures().items()}


def findings(now: Figures, before: Figures) -> tuple[Finding, ...]:
    """Every figure of every family beside its limit. ``before`` are the figures of the iteration before, or empty."""
    return tuple(look(family.failure, check, now, before) for family in FAMILIES for check in family.checks)
