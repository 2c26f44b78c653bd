"""A prompt with what came of it, or a seed with what was written after it; other items lead there by their id."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from selfreward.viewer.links import path_to
from selfreward.viewer.rendering import page
from selfreward.viewer.site import run_of
from selfreward.walk import SeedWalk, walk


def show(request: Request) -> Response:
    """The page of an item that is no pair of responses; of such a pair, the way to its own."""
    run = run_of(request)
    found = walk(run, request.path_params["item"])
    name = run.path.name
    if isinstance(found, SeedWalk):
        return page("seed.html", {"run": name, "found": found})
    if found.pair is not None and found.pair.id == found.item:
        return RedirectResponse(path_to("runs", name, found.iteration, "pairs", found.item), status_code=303)
    return page("prompt.html", {"run": name, "found": found, "t": found.iteration})
