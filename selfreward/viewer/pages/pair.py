"""One pair: what was asked, all candidates, every judgment, and what a person decided about it."""

from starlette.requests import Request
from starlette.responses import Response

from selfreward.diagnosis.pair_flags import MEANS
from selfreward.query.pair import PairView, pair_view
from selfreward.query.pairs import neighbours
from selfreward.steps.metrics import judged_scale
from selfreward.storage.overrides import Override, Sides
from selfreward.viewer.listing import listing_of
from selfreward.viewer.rendering import number, page
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
        "decisions": [(override, _in_words(override, view)) for override in view.overrides],
        "means": MEANS,
        "csrf": site_of(request).access.csrf,
    }
    return page("pair.html", context)


def _in_words(override: Override, view: PairView) -> str:
    """What was decided."""
    match override.action:
        case "exclude":
            return "The pair is left out."
        case "swap":
            return "Chosen and rejected are swapped."
        case "withdraw":
            return "Taken back."
        case "score":
            ranks = {one.response.id: rank for rank, one in enumerate(view.ranked, 1)}
            was = "no score" if isinstance(override.old, Sides) else number(override.old)
            new = number(override.new) if isinstance(override.new, float) else "no score"
            return f"Candidate {ranks.get(override.response_id or '', '?')}: score {new} instead of {was}."
