"""Two iterations beside each other, of one run or of two."""

from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from selfreward.query.compare import Compared, compare
from selfreward.query.histograms import Histogram
from selfreward.query.kept import iteration
from selfreward.storage.catalogue import run_list
from selfreward.storage.run import RunStore
from selfreward.viewer import charts
from selfreward.viewer.rendering import page
from selfreward.viewer.site import Site, site_of

_PAGE = 50


class _Asked(NamedTuple):
    run: str
    t: int
    other: str
    u: int
    offset: int


def show(request: Request) -> Response:
    """Prompts that both answered, the one that got worst first, and how everything spreads; else a form to choose."""
    site = site_of(request)
    query = request.query_params
    context: dict[str, Any] = {
        "runs": [row for row in run_list(site.runs_dir, iteration) if row.state != "damaged"],
        "asked": None,
    }
    if "run" in query or "other" in query:
        asked = _Asked(
            run=query.get("run", ""),
            t=_number(query.get("t", "")),
            other=query.get("other") or query.get("run", ""),
            u=_number(query.get("u", "")),
            offset=_number(query.get("offset", "0")),
        )
        found = compare(_side(site, asked.run, asked.t), _side(site, asked.other, asked.u), asked.offset, _PAGE)
        context |= {"asked": asked, "found": found, "size": _PAGE, **_charts(found)}
    return page("compare.html", context)


def _side(site: Site, name: str, t: int) -> tuple[RunStore, int]:
    run = site.run(name)
    if t not in run.iterations():
        begun = ", ".join(map(str, run.iterations())) or "none"
        raise HTTPException(404, f"{name}: no iteration {t}; begun so far: {begun}")
    return run, t


def _number(given: str) -> int:
    if not (given.isascii() and given.isdecimal()) or len(given) > 9:
        raise HTTPException(400, f"{given!r}: expected the number of an iteration")
    return int(given)


def _charts(found: Compared) -> dict[str, charts.Chart | None]:
    names = [f"{side.run}, iteration {side.row.iteration}" for side in (found.first, found.second)]

    def drawn(spread: Histogram) -> charts.Chart | None:
        return charts.histogram(spread.edges, dict(zip(names, spread.series, strict=True)), shares=True)

    return {"scores": drawn(found.scores), "lengths": drawn(found.lengths), "margins": drawn(found.margins)}
