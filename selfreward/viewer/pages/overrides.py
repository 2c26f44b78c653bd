"""What a person decides about a pair: the one thing that the page writes."""

from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from selfreward import overriding
from selfreward.errors import StoreError
from selfreward.query.pair import pair_view
from selfreward.storage.run import RunStore
from selfreward.viewer.links import path_to
from selfreward.viewer.listing import listing_of
from selfreward.viewer.site import iteration_of, run_of, site_of

_MOST_FIELDS = 10


async def add(request: Request) -> Response:
    """Write a decision down, and go back to the pair."""
    form = _fields(await request.body())
    if not site_of(request).access.same_form(form.get("csrf", "")):
        raise HTTPException(403, "This form is of an earlier start of the server: load the pair again.")
    return await run_in_threadpool(_add, request, form)


def _add(request: Request, form: dict[str, str]) -> Response:
    run = run_of(request)
    t, pair = iteration_of(request, run).manifest.iteration, request.path_params["pair"]
    try:
        # The whole id of a pair, and of one of its candidates: a form of ours names no others.
        known = {candidate.response.id for candidate in pair_view(run, t, pair).ranked}
        if form.get("response", "") not in {"", *known}:
            raise HTTPException(400, "That response is no candidate of this pair.")
        _decide(run, pair, form)
    except StoreError as error:
        raise HTTPException(400, str(error)) from error
    back = path_to("runs", run.path.name, t, "pairs", pair, **listing_of(request.query_params).query())
    return RedirectResponse(f"{back}#override", status_code=303)


def _decide(run: RunStore, pair: str, form: dict[str, str]) -> None:
    reason, response = form.get("reason", ""), form.get("response", "")
    match form.get("action"):
        case "exclude":
            overriding.exclude(run, pair, reason)
        case "swap":
            overriding.swap(run, pair, reason)
        case "score" if not response:
            raise HTTPException(400, "Choose the candidate that the score is of.")
        case "score":
            overriding.set_score(run, response, _score(form.get("score", "")), reason)
        case "withdraw":
            overriding.withdraw(run, response or pair, reason)
        case _:
            raise HTTPException(400, "Choose what to do: leave the pair out, swap it, set a score, or take one back.")


def _score(given: str) -> float:
    try:
        return float(given)
    except ValueError as error:
        raise HTTPException(400, f"{given!r} is no score; give a number.") from error


def _fields(body: bytes) -> dict[str, str]:
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:  # a form of ours is ASCII and small
        raise HTTPException(400, "This form cannot be read; load the pair again.") from error
    return {name: values[-1] for name, values in found.items()}
