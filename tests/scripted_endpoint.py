"""A real HTTP server on a loopback port that answers as a test tells it to."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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
