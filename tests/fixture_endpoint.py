"""A real HTTP server on a loopback port that answers as a test tells it to, and engines that ask it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Answer, EngineRoom, Request, Sampling
from selfreward.engines.server import ServerConfig
from selfreward.engines.server_engine import ServerEngine
from selfreward.records import Message


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """What to answer: JSON, or bytes as they are. ``status=None`` hangs up without a word."""

    body: Any = None
    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Callable[[Asked], Reply]


class ScriptedEndpoint:
    """Listens until it is closed; ``asked`` keeps what arrived, in order of arrival."""

    def __init__(self, script: Script) -> None:
        self.script, self.asked = script, list[Asked]()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def bodies(self) -> list[Any]:
        """Of the requests for completions."""
        return [asked.body for asked in self.asked if asked.method == "POST"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(endpoint: ScriptedEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, dict(self.headers), json.loads(content) if content else None)
            endpoint.asked.append(asked)
            reply = endpoint.script(asked)
            if reply.status is None:
                self.close_connection = True
                return
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:  # whoever asked did not wait for the answer
                self.close_connection = True

    return Handler


def written(*texts: str, finish_reason: str = "stop", prompt_tokens: int = 7) -> Reply:
    """An answer of the chat API."""
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
        for i, text in enumerate(texts)
    ]
    return Reply({"choices": choices, "usage": {"prompt_tokens": prompt_tokens}})


def completed(text: str, token_ids: list[int] | None = None, finish_reason: str = "stop", **more: Any) -> Reply:
    """An answer of the completions API."""
    return Reply(
        {"choices": [{"index": 0, "text": text, "token_ids": token_ids, "finish_reason": finish_reason, **more}]}
    )


MODEL = ModelConfig(name="judge-large")
KEY = "sk-Very.Secret-0123456789"
HOW = Sampling(max_tokens=8)
PATIENCE = 30.0
"""Seconds after which a test that waits has failed; never waited for where all is well."""

Start = Callable[[Script], ScriptedEndpoint]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts endpoints, and closes them after the test."""
    running: list[ScriptedEndpoint] = []

    def make(script: Script) -> ScriptedEndpoint:
        running.append(ScriptedEndpoint(script))
        return running[-1]

    yield make
    for endpoint in running:
        endpoint.close()


class Opened:
    """An engine on an endpoint, its pauses taken without waiting, and what it told the user."""

    def __init__(self, url: str, directory: Path, model: ModelConfig = MODEL, **settings: Any) -> None:
        self.pauses: list[float] = []
        self.said: list[str] = []
        self.config = ServerConfig(url=url, **settings)
        engine = self.config.open(model, EngineRoom(directory, say=self.said.append), self._sleep)
        assert isinstance(engine, ServerEngine)
        self.engine = engine

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


Open = Callable[..., Opened]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens engines, and closes them after the test."""
    running: list[Opened] = []

    def make(endpoint: ScriptedEndpoint, **settings: Any) -> Opened:
        running.append(Opened(endpoint.url, tmp_path, **settings))
        return running[-1]

    yield make
    for one in running:
        one.engine.close()


def user(text: str) -> Request:
    return Request((Message(role="user", content=text),))


def echo(asked: Asked) -> Reply:
    return written(f"<{asked.body['messages'][-1]['content']}>")


def texts(answers: list[Answer]) -> list[list[str]]:
    return [[c.text for c in answer.completions] for answer in answers]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ENDPOINT_KEY", f" {KEY}\n")
    return KEY


def answers_models(script: Script, **card: Any) -> Script:
    """The script, behind a list of models as vLLM gives it."""
    models = {"object": "list", "data": [{"id": MODEL.name, **card}]}
    return lambda asked: Reply(models) if asked.method == "GET" else script(asked)


Completions = Callable[..., tuple[ScriptedEndpoint, Opened]]


@pytest.fixture
def completions(start: Start, opened: Open, builtin_model: Path) -> Completions:
    """An endpoint that is handed token ids, with the real tokenizer, and an engine on it."""

    def make(script: Script, *, card: dict[str, Any] | None = None, **settings: Any) -> tuple[ScriptedEndpoint, Opened]:
        endpoint = start(answers_models(script, **(card or {})))
        return endpoint, opened(endpoint, api="completions", tokenizer=str(builtin_model), **settings)

    return make
