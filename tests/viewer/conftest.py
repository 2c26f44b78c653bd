"""The page, asked in this process; and served to a real browser that may speak to this machine only."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.testclient import TestClient

from selfreward.storage.run import RunStore
from selfreward.viewer.app import make_app
from selfreward.viewer.security import Access
from selfreward.viewer.serving import listen

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Route

HERE = "http://127.0.0.1"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def access() -> Access:
    """Of a server on this machine."""
    return Access()


@pytest.fixture
def site(finished_run: RunStore, access: Access) -> TestClient:
    """Asks the page over the hand-made run."""
    return TestClient(make_app(finished_run.path.parent, access), base_url=HERE, follow_redirects=False)


Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a directory of runs, and gives the address."""
    stops: list[Callable[[], None]] = []

    def start(runs_dir: Path, access: Access | None = None) -> str:
        listening = listen("127.0.0.1", 0)
        app = make_app(runs_dir, access or Access())
        server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()  # the socket listens already, so the first request waits until the server is there

        def stop() -> None:
            server.should_exit = True
            thread.join(timeout=30)
            listening.close()

        stops.append(stop)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for stop in stops:
        stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """A real browser, where Playwright's package and a Chromium are installed."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    found = os.environ.get("SELFREWARD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("needs Chromium; on Debian, as root: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: "Browser", serve: Serve) -> Iterator[Callable[..., "Page"]]:
    """Opens pages. A test fails where one asks for anything elsewhere, or where a script or the policy complains.

    It asks for ``serve`` so that pages are closed before their server is.
    """
    troubles: list[str] = []
    contexts = []

    def watch(route: "Route", request: "Request") -> None:
        if urlsplit(request.url).scheme == "file" or urlsplit(request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            troubles.append(f"asked for {request.url}")
            route.abort()

    def start(**options: Any) -> "Page":
        context = chromium.new_context(**options)
        contexts.append(context)
        context.route("**/*", watch)
        context.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        context.on("weberror", lambda error: troubles.append(str(error.error)))
        return context.new_page()

    yield start
    for context in contexts:
        context.close()
    assert not troubles
