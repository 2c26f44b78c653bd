"""One run: its iterations in figures, how far it is, and where its models come from."""

from starlette.requests import Request
from starlette.responses import Response

from selfreward.query.iterations import IterationRow, iteration_table
from selfreward.query.kept import iteration
from selfreward.query.lineage import lineage
from selfreward.storage.catalogue import RunStatus, run_status
from selfreward.viewer.rendering import page
from selfreward.viewer.site import run_of, site_of


def show(request: Request) -> Response:
    """The page of a run."""
    run = run_of(request)
    rows = iteration_table(run)
    context = {
        "run": run.path.name,
        "head": run.head,
        "parent_here": bool(run.head["forked"]) and site_of(request).has(run.head["forked"]["run"]),
        "config": run.config(),
        "rows": rows,
        "trends": _trends([row for row in rows if row.iteration]),
        "lineage": lineage(run),
        **_progress(run_status(run, iteration)),
    }
    return page("run.html", context)


def progress(request: Request) -> Response:
    """The part of it that asks for itself again while the run is under way."""
    return page("progress.html", _progress(run_status(run_of(request), iteration)))


def _progress(status: RunStatus) -> dict[str, object]:
    return {"status": status, "open": [stage for stage in status.stages if not stage.finished]}


def _trends(rows: list[IterationRow]) -> dict[str, list[float | None]]:
    """Each column's figures, iteration by iteration."""
    return {
        "prompts": [row.prompts for row in rows],
        "responses": [row.responses for row in rows],
        "pairs": [row.pairs for row in rows],
        "mean_score": [row.mean_score for row in rows],
        "tie_share": [row.tie_share for row in rows],
        "unreadable_share": [row.unreadable_share for row in rows],
        "mean_tokens": [row.mean_tokens for row in rows],
        "judge_accuracy": [row.judge_accuracy.value if row.judge_accuracy else None for row in rows],
    }
