"""One pair: what was asked, all candidates, every judgment, and what a person decided about it."""

from starlette.requests import Request
from starlette.responses import Response

from selfreward.diagnosis.pair_flags import MEANS
from selfreward.query.pair import pair_view
from selfreward.query.pairs import neighbours
from selfreward.steps.metrics import judged_scale
from selfreward.viewer.decisions import in_words
from selfreward.viewer.listing import listing_of
from selfreward.viewer.rendering import page
from selfreward.viewer.site import iteration_of, run_of, site_of
from selfreward.viewer.word_difference import word_difference


def show(request: Request) -> Response:
    """The page of a pair, at its place in the list that the address describes."""
    run = run_of(request)
    it = iteration_of(request, run)
    t, pair_id = it.manifest.iteration, request.path_params["pair"]
    asked = listing_of(request.query_params)
    view = pair_view(run, t, pair_id)
    scale = judged_scale(it)
    context = {
        "run": run.path.name,
        "t": t,
        "asked": asked,
        "view": view,
        "row": view.row,
        "scores": scale.scores if scale is not None else (),
        "difference": word_difference(view.row.chosen, view.row.rejected),
        "beside": neighbours(run, t, pair_id, asked.where, asked.sort, asked.ascending),
        "decisions": in_words(view.overrides, view.ranked),
        "judged": it.stage("judgments") is not None,
        "means": MEANS,
        "csrf": site_of(request).access.csrf,
    }
    return page("pair.html", context)
