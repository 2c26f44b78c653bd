"""A prompt with what came of it, or a seed with what was written after it; other items lead there by their id."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from selfreward.overriding import override_state
from selfreward.query.kept import iteration
from selfreward.storage.run import RunStore
from selfreward.viewer.decisions import in_words
from selfreward.viewer.links import path_to
from selfreward.viewer.rendering import page
from selfreward.viewer.site import run_of, site_of
from selfreward.walk import PromptWalk, SeedWalk, walk


def show(request: Request) -> Response:
    """The page of an item that is no pair of responses; of such a pair, the way to its own."""
    run = run_of(request)
    found = walk(run, request.path_params["item"])
    name = run.path.name
    if isinstance(found, SeedWalk):
        return page("seed.html", {"run": name, "found": found})
    if found.pair is not None and found.pair.id == found.item:
        return RedirectResponse(path_to("runs", name, found.iteration, "pairs", found.item), status_code=303)
    return page("prompt.html", {"run": name, **_about(request, run, found)})


def _about(request: Request, run: RunStore, found: PromptWalk) -> dict[str, Any]:
    candidates = sorted(found.candidates, key=lambda one: one.response.index)
    state = override_state(run, found.iteration)
    own = [override for override in state.overrides if override.prompt_id == found.prompt.id]
    return {
        "found": found,
        "t": found.iteration,
        "candidates": candidates,
        "judged": iteration(run, found.iteration).stage("judgments") is not None,
        "state": state,
        "decisions": in_words(own, candidates),
        "csrf": site_of(request).access.csrf,
    }
