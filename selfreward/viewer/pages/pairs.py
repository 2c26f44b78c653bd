"""The pairs of an iteration, as the address filters and sorts them."""

from starlette.requests import Request
from starlette.responses import Response

from selfreward.diagnosis.pair_flags import MEANS
from selfreward.query.pairs import page_of_pairs
from selfreward.viewer.listing import PAGE, listing_of
from selfreward.viewer.rendering import page
from selfreward.viewer.site import iteration_of, run_of

_RANGES = (
    ("chosen", "Score of chosen"),
    ("rejected", "Score of rejected"),
    ("margin", "Margin"),
    ("variance", "Variance of the verdicts"),
    ("length_ratio", "Length ratio"),
)


def show(request: Request) -> Response:
    """A page of the list."""
    run = run_of(request)
    it = iteration_of(request, run)
    asked = listing_of(request.query_params)
    found = page_of_pairs(
        run, it.manifest.iteration, asked.where, asked.sort, asked.ascending, offset=asked.offset, limit=PAGE
    )
    context = {
        "run": run.path.name,
        "t": it.manifest.iteration,
        "asked": asked,
        "found": found,
        "ranges": _RANGES,
        "flags": MEANS,
        "size": PAGE,
    }
    return page("pairs.html", context)
