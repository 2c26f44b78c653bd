"""One model against another on held-out prompts: wins, ties and losses beside what length alone would say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

from selfreward.evaluation.bootstrap import RESAMPLES, Figure, figures
from selfreward.evaluation.contests import Contest, outcome
from selfreward.evaluation.opinion import EVEN, orders_of
from selfreward.evaluation.report import percent
from selfreward.evaluation.sums import NONE, Sums
from selfreward.records import Frozen, Judgment, Response

LEAST_DECIDED = 6
"""Prompts that have to be won or lost before anything is concluded: of five, all fall on one side by chance alone in
more than 5% of cases, whatever the interval says (resamples of equal values are all the same)."""
_POINTS = {"win": 1.0, "tie": 0.5, "loss": 0.0}
_FIGURES = ("share", "chance", "tie_share", "swap_flip_share", "unreadable_share", "length_only", "longer_won")


class Side(Frozen):
    """One of the two models, and what it wrote."""

    model: str
    tokens: float | None
    """Mean generated tokens of a response, None where there is none."""
    characters: float | None
    """Mean characters of an answer, without reasoning."""
    cut_off: int
    """Responses that reached the limit of tokens."""


class Comparison(Frozen):
    """The second model against the first. Intervals are 95%, by resampling prompts."""

    first: Side
    second: Side
    judge: str
    """The model that judged."""
    is_judged_by: Literal["first", "second"] | None
    """Which of the two judged, and so its own answers too; None for a third model."""
    method: str
    """How one comparison was asked for."""
    rubric: str
    prompts: int
    """Those with responses of both."""
    pairs: int
    wins: int
    ties: int
    losses: int
    unreadable: int
    """Pairs with an order in which no verdict could be read; they are in no figure but ``unreadable_share``."""
    identical: int
    """Ties because both wrote the same; no judge was asked."""
    left_out: dict[str, int]
    """Prompts by reason."""
    share: Figure
    """Wins and half of the ties, of the pairs that could be read."""
    chance: Figure
    """The second's mean probability to be better, over both orders."""
    tie_share: Figure
    swap_flip_share: Figure
    """Of the pairs that were judged, those whose two orders prefer different responses."""
    unreadable_share: Figure
    length_only: Figure
    """The share by a judge to whom the response with more characters is the better one."""
    longer_won: Figure
    """Of the pairs that one side won and whose lengths differ, those that the longer response won."""
    decided: int
    """Prompts that one side won: on the mean of its pairs where there are several."""
    conclusion: Literal["better", "worse", "no_difference"]
    """Of the second model; ``no_difference`` where the interval holds one half, or too few prompts are decided."""
    resamples: int
    seed: int


def comparison(
    pairs: Sequence[Contest],
    judgments: Sequence[Judgment],
    *,
    models: tuple[str, str],
    judge: str,
    method: str,
    rubric: str,
    left_out: Mapping[str, int],
    seed: int,
) -> Comparison:
    """What the verdicts come to; contests and judgments are joined by id.

    Args:
        models: names of the first and the second.
        judge: name of the model that judged; one of ``models`` where it is the same.
        seed: of the intervals.
    """
    orders = orders_of(judgments)
    chances = [contest.chances(orders) for contest in pairs]
    came = Counter("unreadable" if found is None else outcome(found) for found in chances)
    by_prompt: defaultdict[str, list[Sums]] = defaultdict(list)
    for contest, found in zip(pairs, chances, strict=True):
        by_prompt[contest.prompt_id].append(_sums(contest, found))
    sums = [_added(by_prompt[prompt_id]) for prompt_id in sorted(by_prompt)]
    found_figures = figures(sums, seed, _FIGURES)
    decided = sum(one["share"][0] != EVEN * one["share"][1] for one in sums)
    is_judged_by: Literal["first", "second"] | None = None
    if judge in models:
        is_judged_by = "first" if judge == models[0] else "second"
    return Comparison(
        first=_side(models[0], [contest.first for contest in pairs]),
        second=_side(models[1], [contest.second for contest in pairs]),
        judge=judge,
        is_judged_by=is_judged_by,
        method=method,
        rubric=rubric,
        prompts=len(sums),
        pairs=len(pairs),
        wins=came["win"],
        ties=came["tie"],
        losses=came["loss"],
        unreadable=came["unreadable"],
        identical=sum(contest.identical for contest in pairs),
        left_out=dict(left_out),
        **found_figures,
        decided=decided,
        conclusion=_conclusion(found_figures["share"], decided),
        resamples=RESAMPLES,
        seed=seed,
    )


def answer(found: Comparison) -> str:
    """Whether it improved, in a sentence that says no more than the figures can."""
    one, other = found.second.model, found.first.model
    if found.conclusion == "no_difference":
        told = f"no difference between {one} and {other} that these {found.prompts} prompts can show"
    else:
        told = f"{one} is {found.conclusion} than {other} to this judge"
    return (
        f"{told}: {one} wins {percent(found.share)} (ties count half), by length alone it would win "
        f"{percent(found.length_only)}"
    )


def in_short(found: Comparison) -> str:
    """The same in a few words."""
    told = found.conclusion.replace("no_difference", "no difference shown")
    return f"{found.second.model} wins {percent(found.share)}: {told}"


def _sums(contest: Contest, chances: tuple[float, float] | None) -> Sums:
    asked = not contest.identical
    sums = dict.fromkeys(_FIGURES, NONE) | {"unreadable_share": (float(chances is None), 1.0)}
    if chances is None:
        return sums
    came = outcome(chances)
    flips = (chances[0] - EVEN) * (chances[1] - EVEN) < 0
    sums |= {
        "share": (_POINTS[came], 1.0),
        "chance": (fmean(chances), 1.0),
        "tie_share": (float(came == "tie"), 1.0),
        "swap_flip_share": (float(flips), 1.0) if asked else NONE,
        "length_only": (contest.longer, 1.0),
    }
    if came != "tie" and contest.longer != EVEN:
        sums["longer_won"] = (float(_POINTS[came] == contest.longer), 1.0)
    return sums


def _added(parts: Sequence[Sums]) -> Sums:
    return {name: (sum(part[name][0] for part in parts), sum(part[name][1] for part in parts)) for name in _FIGURES}


def _side(model: str, responses: Sequence[Response]) -> Side:
    return Side(
        model=model,
        tokens=round(fmean(len(r.token_ids) for r in responses), 1) if responses else None,
        characters=round(fmean(len(r.text) for r in responses), 1) if responses else None,
        cut_off=sum(r.finish_reason == "length" for r in responses),
    )


def _conclusion(share: Figure, decided: int) -> Literal["better", "worse", "no_difference"]:
    if share.low is None or share.high is None or decided < LEAST_DECIDED:
        return "no_difference"
    if share.low > EVEN:
        return "better"
    return "worse" if share.high < EVEN else "no_difference"
