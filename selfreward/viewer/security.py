"""Who may ask, and what a browser is told with every answer.

The page shows text that models wrote, so nothing in it may run, load or leave: see ``HEADERS``.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 * 1024
"""Bytes of a form. The largest has a reason in it, and nothing else that is long."""
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
HEADERS = {
    "content-security-policy": "; ".join(_POLICY),
    "x-content-type-options": "nosniff",
    # Nothing is said to others. "no-referrer" would have browsers send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_READING = ("GET", "HEAD")


@dataclass(frozen=True)
class Access:
    """Who may ask a server."""

    names: frozenset[str] = frozenset({"localhost"})
    """Host names that it is asked under, beside addresses. Under another one a page elsewhere may be asking."""
    token: str | None = None
    """What has to be known; None where only this machine can ask."""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """Stands in every form, and comes back with it."""

    def knows_host(self, header: str) -> bool:
        """Whether a Host header may be answered: a name of ours, or an address."""
        try:
            host = urlsplit(f"//{header}").hostname or ""
            address = ipaddress.ip_address(host)
        except ValueError:
            return _host_name(header) in self.names
        return self.token is not None or address.is_loopback

    def same_form(self, token: str) -> bool:
        """Whether a form is one of ours."""
        return secrets.compare_digest(token.encode(), self.csrf.encode())

    def opens(self, token: str) -> bool:
        """Whether this is the token."""
        return self.token is not None and secrets.compare_digest(token.encode(), self.token.encode())

    @property
    def cookie(self) -> tuple[str, str]:
        """Name and value of what a browser keeps instead of the token. Browsers mix up cookies of several ports."""
        digest = hashlib.sha256(f"selfreward {self.token}".encode()).hexdigest()
        return f"selfreward-{digest[:8]}", digest[8:]

    def has_cookie(self, request: Request) -> bool:
        """Whether a browser was let in before."""
        name, value = self.cookie
        return secrets.compare_digest(request.cookies.get(name, "").encode(), value.encode())


def _host_name(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


class Guard:
    """Stands around the whole application, its error pages too."""

    def __init__(self, app: ASGIApp, access: Access, refuse: Callable[[int, str], Response]) -> None:
        self._app = app
        self._access = access
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._before(Request(scope))
        await (self._app if answer is None else answer)(scope, receive, send_with_headers)

    def _before(self, request: Request) -> Response | None:
        """What is answered instead of the page; None where the page may be seen."""
        host = request.headers.get("host", "")
        if not self._access.knows_host(host):
            return self._refuse(403, "This server is not asked under that name. Use the address that it printed.")
        if self._access.token is not None and (answer := self._admission(request)) is not None:
            return answer
        if request.method not in _READING and not _is_own(request, host):
            return self._refuse(403, "Only this server's own pages may change anything. Try again from there.")
        return None

    def _admission(self, request: Request) -> Response | None:
        if self._access.opens(request.query_params.get("token", "")):
            # Away from the address with the token in it, which would stay in the history and in bookmarks.
            answer = RedirectResponse("/", status_code=303)
            name, value = self._access.cookie
            answer.set_cookie(name, value, httponly=True, samesite="strict", path="/")
            return answer
        if self._access.has_cookie(request):
            return None
        return self._refuse(401, "This server asks for a token. Open the whole address that `selfreward view` printed.")


def _is_own(request: Request, host: str) -> bool:
    """Whether a browser says that a page of this server sent the request."""
    origin = request.headers.get("origin", "")
    return origin in (f"http://{host}", f"https://{host}")
