"""All runs."""

from starlette.requests import Request
from starlette.responses import Response

from selfreward.query.kept import iteration
from selfreward.storage.catalogue import run_list
from selfreward.viewer.rendering import page
from selfreward.viewer.site import site_of


def show(request: Request) -> Response:
    """The front page."""
    runs_dir = site_of(request).runs_dir
    return page("runs.html", {"runs": run_list(runs_dir, iteration), "runs_dir": str(runs_dir)})
