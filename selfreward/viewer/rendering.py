"""Templates to pages. Every value is escaped, also what could turn the direction of a line or hide in it."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from starlette.responses import HTMLResponse, Response

from selfreward.terminal.render import visible
from selfreward.viewer import charts
from selfreward.viewer.links import path_to, with_query

_HERE = Path(__file__).resolve().parent
_NOTHING = "\u2013"
"""A dash where a figure would stand."""
_YEAR = "public, max-age=31536000, immutable"


@cache
def environment() -> jinja2.Environment:
    """The templates, which are part of the package."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"path_to": path_to, "with_query": with_query, "asset": asset_path, "charts": charts}
    made.filters |= {"number": number, "share": share, "signed": signed, "figure": figure}
    return made


def page(template: str, context: Mapping[str, Any], *, status: int = 200) -> Response:
    """A template as an answer."""
    return HTMLResponse(environment().get_template(template).render(context), status)


def error_page(status: int, words: str) -> Response:
    """What a user sees of an error."""
    return page("error.html", {"status": status, "words": words}, status=status)


def number(value: float | int | None, digits: int = 2) -> str:
    """A figure for reading; a dash where there is none."""
    if value is None:
        return _NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def signed(value: float | None, digits: int = 2) -> str:
    """A difference, with its sign."""
    return _NOTHING if value is None else f"{value:+,.{digits}f}".replace("-", "\u2212")


def share(value: float | None) -> str:
    """A share in percent."""
    return _NOTHING if value is None else f"{value:.0%}" if value in (0.0, 1.0) else f"{value:.1%}"


def figure(value: float | str | None) -> str:
    """A figure of diagnose, some of which are words."""
    return value if isinstance(value, str) else _NOTHING if value is None else f"{value:.4g}"


@cache
def assets() -> dict[str, bytes]:
    """The static files by name, read once: no path of a request is ever opened."""
    return {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir()) if path.is_file()}


def asset_path(name: str) -> str:
    """Address of a static file, another one for another content."""
    return path_to("static", name, v=hashlib.sha256(assets()[name]).hexdigest()[:8])


def asset(name: str) -> Response | None:
    """A static file as an answer."""
    content = assets().get(name)
    if content is None:
        return None
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    return Response(content, media_type=kind, headers={"cache-control": _YEAR})


def _finalize(value: object) -> object:
    return visible(value) if type(value) is str else value
