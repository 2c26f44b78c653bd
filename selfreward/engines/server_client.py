"""Speaking HTTP with an endpoint: a bounded number of requests at once, tried again where that can help.

All of it happens in one thread with an event loop, so that whatever is under way can be dropped at once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from selfreward.errors import EngineError

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
Say = Callable[[str], None]
Sleep = Callable[[float], Awaitable[None]]

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the second try, doubled for each further one up to the longest."""
_MOST_PATIENCE = 600.0
"""Seconds; an endpoint that asks for more than this, such as one whose daily quota is used up, stops the run."""
_SECONDS_TO_CONNECT = 20.0
_WORTH_ANOTHER_TRY = frozenset({408, 409, 429})
_LONGEST_WORDS = 400


class Refused(Exception):
    """The endpoint will not do what it was asked, and would not the next time."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"HTTP {status}: {words}")
        self.status, self.words = status, words


@dataclass(frozen=True)
class Address:
    """Where an endpoint is, and how patiently it is spoken to."""

    url: str
    key: SecretStr | None
    key_name: str | None
    """The environment variable that the key came from."""
    concurrency: int
    timeout: float
    retries: int
    setting: str = "engine"
    """Where the recipe says all this; errors name it."""


class Endpoint:
    """One endpoint's connections. Used from one event loop only."""

    def __init__(self, address: Address, say: Say, sleep: Sleep = asyncio.sleep) -> None:
        import httpx2

        self._address, self._say, self._sleep = address, say, sleep
        self._slots = asyncio.Semaphore(address.concurrency)
        self._said: set[str] = set()
        headers = {"Content-Type": "application/json"}
        if address.key is not None:
            headers["Authorization"] = f"Bearer {address.key.get_secret_value()}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(address.timeout, connect=min(address.timeout, _SECONDS_TO_CONNECT), pool=None),
            limits=httpx2.Limits(max_connections=address.concurrency, max_keepalive_connections=address.concurrency),
            follow_redirects=False,  # the key goes to this endpoint and nowhere else
            trust_env=not _is_loopback(httpx2.URL(address.url).host),  # no proxy leads to this machine
        )

    async def get(self, path: str) -> Any:
        """What stands there, from JSON.

        Raises:
            Refused: the endpoint will not tell.
            EngineError: it cannot be reached, or says what is no JSON.
        """
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to a request, from JSON. Raises as :meth:`get` does."""
        return await self._ask("POST", path, body)

    def refusal(self, refused: Refused) -> EngineError:
        """What a user is told of it."""
        return EngineError(f"{self._address.url}: the endpoint refused with {refused}{self._way_out(refused.status)}")

    def no_sense(self, found: str) -> EngineError:
        """What a user is told of an answer that is none."""
        return EngineError(
            f"{self._address.url}: the endpoint answered what is no answer of an OpenAI-compatible one: "
            f"{self._quoted(found)!r}; see that {self._address.setting}.url is the base that "
            "/chat/completions stands under, such as http://127.0.0.1:8000/v1"
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        async with self._slots:  # kept while it waits for another try: an endpoint that is too busy is not pressed
            tries = 0
            while True:
                response, cause = await self._try(method, path, content)
                tries += 1
                if response is not None and not _is_worth_another_try(response.status_code):
                    return self._read(response)
                asked_for = _retry_after(response)
                if tries > self._address.retries or asked_for > _MOST_PATIENCE:
                    raise self._gave_up(cause, tries, asked_for)
                self._say_once(cause)
                await self._sleep(max(asked_for, _pause(tries)))

    async def _try(self, method: str, path: str, content: bytes | None) -> tuple[httpx2.Response | None, str]:
        """The response, or None; and what went wrong if something did."""
        import httpx2

        try:
            # The client's own limit is for silence; some endpoints send blanks for as long as they are busy.
            async with asyncio.timeout(self._address.timeout):
                response = await self._client.request(method, f"{self._address.url}/{path}", content=content)
        except (TimeoutError, httpx2.ReadTimeout):
            return None, f"no answer within {self._address.timeout:g} s ({self._address.setting}.timeout)"
        except httpx2.RequestError as error:
            return None, self._quoted(f"{type(error).__name__}: {error}").rstrip(": ")
        return response, f"HTTP {response.status_code}: {self._words(response)}"

    def _read(self, response: httpx2.Response) -> Any:
        if not response.is_success:
            raise Refused(response.status_code, self._words(response))
        try:
            return response.json()
        except ValueError as error:
            raise self.no_sense(response.text) from error

    def _words(self, response: httpx2.Response) -> str:
        """What the endpoint says of an error: its message where it has one."""
        if response.is_redirect:
            return self._quoted(f"it sends to {response.headers.get('Location', 'nowhere')}")
        try:
            found = response.json()
        except ValueError:
            return self._quoted(response.text)
        if isinstance(found, dict):
            error = found.get("error", found.get("detail", found))
            found = error.get("message", error) if isinstance(error, dict) else error
            code = error.get("code") if isinstance(error, dict) else None
            if isinstance(found, str) and isinstance(code, str):
                found = f"{found} ({code})"
        return self._quoted(found if isinstance(found, str) else json.dumps(found))

    def _quoted(self, text: str) -> str:
        """Short, printable, and without the key, which an endpoint may repeat."""
        if self._address.key is not None:
            text = text.replace(self._address.key.get_secret_value(), "[key]")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST_WORDS]

    def _gave_up(self, cause: str, tries: int, asked_for: float) -> EngineError:
        if asked_for > _MOST_PATIENCE:
            why = f"it asks to be left alone for {asked_for:.0f} s ({cause})"
        else:
            why = f"{tries} tries failed, the last one with {cause}"
        setting = self._address.setting
        return EngineError(
            f"{self._address.url}: {why}. Finished work is kept; see that the endpoint runs and "
            f"{setting}.url is right, and run the same command again; a higher "
            f"{setting}.retries or a lower {setting}.concurrency may help"
        )

    def _way_out(self, status: int) -> str:
        setting = self._address.setting
        if status in (401, 403):
            if self._address.key_name is None:
                return f"; name the environment variable that holds its key with {setting}.api_key_env"
            return f"; see that the environment variable {self._address.key_name} holds a key for this endpoint"
        if status == 404:
            return f"; see that it serves a model of that name, and that {setting}.url is right (most end in /v1)"
        if 300 <= status < 400:
            return f"; a key is not taken to another place: set {setting}.url to where the endpoint really is"
        return ""

    def _say_once(self, cause: str) -> None:
        kind = cause.partition(":")[0]  # the rest may differ each time, as in "try again in 1.2 s"
        if kind not in self._said:
            self._said.add(kind)
            self._say(f"{self._address.url}: {cause}; trying again")


class Line:
    """A thread with an event loop and an endpoint on it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="selfreward-endpoint", daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start work there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def end(self) -> None:
        """Drop what is under way, close the connections, and end the thread."""
        self.begin(self._drop_all()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _drop_all(self) -> None:
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self.endpoint.close()


def call_once(endpoint: Endpoint, work: Callable[[Endpoint], Coroutine[Any, Any, T]]) -> T:
    """Do something with an endpoint, and wait for it."""
    line = Line(endpoint)
    try:
        return line.begin(work(endpoint)).result()
    finally:
        line.end()


def _is_worth_another_try(status: int) -> bool:
    return status in _WORTH_ANOTHER_TRY or status >= 500


def _pause(attempt: int) -> float:
    """Doubled each time, and different for each request, or all would come back at once."""
    return float(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0))


def _retry_after(response: httpx2.Response | None) -> float:
    """Seconds that the endpoint asks to wait: given as such or as a date; 0 where it does not ask."""
    value = "" if response is None else response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a zone
        return 0.0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
