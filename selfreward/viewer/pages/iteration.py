"""One iteration: how scores, margins and lengths spread, what deserves a look, how training went."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from selfreward.evaluation.comparison import in_short
from selfreward.query.facts import Curve, IterationFacts, iteration_facts
from selfreward.storage.run import RunStore
from selfreward.viewer import charts
from selfreward.viewer.rendering import page
from selfreward.viewer.site import iteration_of, run_of

_CURVES: Mapping[str, Sequence[str]] = {
    "Loss": ("loss",),
    "Rewards": ("rewards/chosen", "rewards/rejected", "rewards/margins"),
    "Log-probabilities": ("logps/chosen", "logps/rejected"),
    "Share of pairs with the chosen side ahead": ("rewards/accuracies",),
    "Norm of the gradient": ("grad_norm",),
    "Learning rate": ("learning_rate",),
    "Tokens a second": ("tokens_per_second",),
    "Peak memory in GiB": ("peak_memory_gib",),
}
"""What is drawn together, first. What else an objective logs follows, each figure by itself, under TRL's name."""
_CHOSEN = frozenset(name for names in _CURVES.values() for name in names)


def show(request: Request) -> Response:
    """The page of an iteration."""
    run = run_of(request)
    t = iteration_of(request, run).manifest.iteration
    return page("iteration.html", {**about(run, t), "others": run.iterations()})


def about(run: RunStore, t: int) -> dict[str, Any]:
    """What the page and the report show."""
    facts = iteration_facts(run, t)
    findings = facts.diagnosis.findings if facts.diagnosis else ()
    families = [(failure, list(found)) for failure, found in groupby(findings, lambda finding: finding.failure)]
    compared = in_short(facts.row.comparison) if facts.row.comparison else None
    held = sum(finding.flag in ("ok", "look") for finding in findings)
    known = {"held": held, "run": run.path.name, "t": t, "facts": facts, "row": facts.row, "families": families}
    return {**known, "compared": compared, **_charts(facts)}


def _charts(facts: IterationFacts) -> dict[str, Any]:
    spread = {"scores": facts.scores, "margins": facts.margins, "differences": facts.length_differences}
    return {
        **{name: charts.histogram(found.edges, {name: found.series[0]}) for name, found in spread.items()},
        "lengths": charts.scatter(facts.length_and_score.points),
        "curves": _curves(facts.training, _CURVES),
        "further_curves": _curves(facts.training, {c.name: (c.name,) for c in facts.training if c.name not in _CHOSEN}),
    }


def _curves(training: Sequence[Curve], together: Mapping[str, Sequence[str]]) -> list[tuple[str, charts.Chart | None]]:
    known = {curve.name: curve.points for curve in training}
    drawn = []
    for title, names in together.items():
        shown = {name: known[name] for name in names if name in known}
        if shown:
            drawn.append((title, charts.lines(shown)))
    return drawn
