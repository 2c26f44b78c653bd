"""The application: addresses, and what becomes of errors."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from selfreward.errors import SelfRewardError
from selfreward.viewer.pages import (
    compare,
    export,
    item,
    iteration,
    labelled,
    overrides,
    pair,
    pairs,
    report,
    run,
    runs,
)
from selfreward.viewer.rendering import asset, error_page
from selfreward.viewer.security import MAX_BODY, Access, Guard
from selfreward.viewer.site import Site


class _Number(IntegerConvertor):
    """Of an iteration; more digits are no page rather than a number that Python refuses to read."""

    regex = "[0-9]{1,9}"


register_url_convertor("number", _Number())


def make_app(runs_dir: Path, access: Access) -> ASGIApp:
    """The page over a directory of runs."""
    app = Starlette(
        routes=_routes(),
        exception_handlers={
            HTTPException: _refused,
            SelfRewardError: _not_shown,
            OSError: _gone,
            Exception: _broken,
        },
        max_body_size=MAX_BODY,
    )
    app.router.redirect_slashes = False
    app.state.site = Site(runs_dir, access)
    return Guard(app, access, error_page)


def _routes() -> list[Route]:
    at = "/runs/{run}/{t:number}"
    return [
        Route("/", runs.show),
        Route("/compare", compare.show),
        Route("/runs/{run}", run.show),
        Route("/runs/{run}/progress", run.progress),
        Route("/runs/{run}/items/{item}", item.show),
        Route("/runs/{run}/items/{prompt}/override", overrides.about_prompt, methods=["POST"]),
        Route(at, iteration.show),
        Route(f"{at}/report", report.download),
        Route(f"{at}/pairs", pairs.show),
        Route(f"{at}/export", export.pairs),
        Route(f"{at}/labelled", labelled.show),
        Route(f"{at}/labelled/export", export.labelled),
        Route(f"{at}/pairs/{{pair}}", pair.show),
        Route(f"{at}/pairs/{{pair}}/override", overrides.about_pair, methods=["POST"]),
        Route("/static/{name}", _static),
    ]


def _static(request: Request) -> Response:
    found = asset(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return found


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "There is no such page.", 405: "This page can only be read."}
    plain = error.detail == HTTPException(error.status_code).detail
    return error_page(error.status_code, words.get(error.status_code, error.detail) if plain else error.detail)


def _not_shown(request: Request, error: Exception) -> Response:
    """Something of a run that is not there, not yet there or damaged: the message says which, and the way out."""
    return error_page(404, str(error))


def _gone(request: Request, error: Exception) -> Response:
    """A file that was there a moment ago: somebody removes or moves the run while its page is open."""
    assert isinstance(error, OSError)
    return error_page(404, f"{error.filename}: {error.strerror}; load the page again, or go back to all runs.")


def _broken(request: Request, error: Exception) -> Response:
    """A fault of ours. The traceback goes to the terminal."""
    return error_page(500, "Something went wrong here. The terminal that `selfreward view` runs in says more.")
