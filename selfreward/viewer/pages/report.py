"""An iteration's report, to keep."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from selfreward.viewer.pages.export import attachment
from selfreward.viewer.report import iteration_report
from selfreward.viewer.site import iteration_of, run_of


def download(request: Request) -> Response:
    """The report as a file."""
    run = run_of(request)
    t = iteration_of(request, run).manifest.iteration
    return HTMLResponse(iteration_report(run, t), headers=attachment(f"report-iter-{t:03d}.html"))
