"""What a person decides about pairs and scores: the one thing that the page writes."""

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
from selfreward.walk import PromptWalk, walk

_MOST_FIELDS = 10


async def about_pair(request: Request) -> Response:
    """Write a decision about a pair or one of its candidates down, and go back to the pair."""
    return await run_in_threadpool(_about_pair, request, await _form(request))


async def about_prompt(request: Request) -> Response:
    """The same of a prompt's candidates, whether it gave a pair or not."""
    return await run_in_threadpool(_about_prompt, request, await _form(request))


async def _form(request: Request) -> dict[str, str]:
    form = _fields(await request.body())
    if not site_of(request).access.same_form(form.get("csrf", "")):
        raise HTTPException(403, "This form is of an earlier start of the server: load the page again.")
    return form


def _about_pair(request: Request, form: dict[str, str]) -> Response:
    run = run_of(request)
    t, pair = iteration_of(request, run).manifest.iteration, request.path_params["pair"]
    try:
        _check(form, {"", *(candidate.response.id for candidate in pair_view(run, t, pair).ranked)})
        _decide(run, pair, form)
    except StoreError as error:
        raise HTTPException(400, str(error)) from error
    back = path_to("runs", run.path.name, t, "pairs", pair, **listing_of(request.query_params).query())
    return RedirectResponse(f"{back}#override", status_code=303)


def _about_prompt(request: Request, form: dict[str, str]) -> Response:
    run, prompt = run_of(request), request.path_params["prompt"]
    try:
        found = walk(run, prompt)
        if not isinstance(found, PromptWalk) or found.prompt.id != prompt:
            raise HTTPException(404, f"{prompt}: is no prompt")
        _check(form, {candidate.response.id for candidate in found.candidates})
        if form.get("action") not in {"score", "withdraw"}:
            raise HTTPException(400, "Choose what to do: set a score, or take one back.")
        _decide(run, prompt, form)
    except StoreError as error:
        raise HTTPException(400, str(error)) from error
    return RedirectResponse(f"{path_to('runs', run.path.name, 'items', prompt)}#override", status_code=303)


def _check(form: dict[str, str], known: set[str]) -> None:
    """Responses are named by their whole ids, and are candidates: a form of ours names no others."""
    if form.get("response", "") not in known:
        raise HTTPException(400, "That response is no candidate of this prompt.")


def _decide(run: RunStore, item: str, form: dict[str, str]) -> None:
    reason, response = form.get("reason", ""), form.get("response", "")
    match form.get("action"):
        case "exclude":
            overriding.exclude(run, item, reason)
        case "swap":
            overriding.swap(run, item, reason)
        case "score" if not response:
            raise HTTPException(400, "Choose the candidate that the score is of.")
        case "score":
            overriding.set_score(run, response, _score(form.get("score", "")), reason)
        case "withdraw":
            overriding.withdraw(run, response or item, reason)
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
        raise HTTPException(400, "This form cannot be read; load the page again.") from error
    return {name: values[-1] for name, values in found.items()}
