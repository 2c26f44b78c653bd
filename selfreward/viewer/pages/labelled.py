"""The labelled responses of an iteration, as the address filters and sorts them."""

from starlette.requests import Request
from starlette.responses import Response

from selfreward.query.labelled import page_of_labelled
from selfreward.viewer.listing import PAGE, labelled_listing_of
from selfreward.viewer.rendering import page
from selfreward.viewer.site import iteration_of, run_of


def show(request: Request) -> Response:
    """A page of the list."""
    run = run_of(request)
    t = iteration_of(request, run).manifest.iteration
    asked = labelled_listing_of(request.query_params)
    found = page_of_labelled(run, t, asked.where, asked.sort, asked.ascending, asked.offset, PAGE)
    return page("labelled.html", {"run": run.path.name, "t": t, "asked": asked, "found": found, "size": PAGE})
