"""Addresses of the page's own pages. Nothing that a model wrote ever stands in one, but ids and names, quoted."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

Value = str | int | float | bool | tuple[str, ...] | None


def path_to(*parts: str | int, **query: Value) -> str:
    """``/runs/demo/1?sort=margin``: parts and values are quoted, and values of None left out."""
    path = "/" + "/".join(quote(str(part), safe="", errors="surrogatepass") for part in parts)
    return with_query(path, query)


def with_query(path: str, query: Mapping[str, Value]) -> str:
    """A path with a query string; values of None are left out, and several of one name stand one after another."""
    given = [(name, one) for name, value in query.items() for one in _values(value)]
    return f"{path}?{urlencode(given)}" if given else path


def _values(value: Value) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, tuple):
        return value
    return (str(int(value)) if isinstance(value, bool) else str(value),)
