"""One pair: what was asked, all candidates, every judgment, and what a person decided about it."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from selfreward.diagnosis.pair_flags import MEANS
from selfreward.overriding import override_state
from selfreward.query.pairs import neighbours
from selfreward.viewer.listing import listing_of
from selfreward.viewer.rendering import page
from selfreward.viewer.site import iteration_of, run_of, site_of
from selfreward.viewer.word_difference import word_difference
from selfreward.walk import PromptWalk, walk


def show(request: Request) -> Response:
    """The page of a pair, at its place in the list that the address describes."""
    run = run_of(request)
    t = iteration_of(request, run).manifest.iteration
    asked = listing_of(request.query_params)
    pair_id = request.path_params["pair"]
    found = walk(run, pair_id)
    if not isinstance(found, PromptWalk) or found.pair is None or found.pair.id != pair_id:
        raise HTTPException(404, f"{pair_id}: no such pair in iteration {t}")
    pair = found.pair
    context = {
        "run": run.path.name,
        "t": t,
        "asked": asked,
        "found": found,
        "pair": pair,
        "candidates": sorted(found.candidates, key=lambda c: (c.score is None, -(c.score or 0.0), c.response.index)),
        "difference": word_difference(pair.chosen[-1].content, pair.rejected[-1].content),
        "beside": neighbours(run, t, pair_id, asked.where, asked.sort, asked.ascending),
        "overrides": override_state(run, t),
        "means": MEANS,
        "csrf": site_of(request).access.csrf,
    }
    return page("pair.html", context)
