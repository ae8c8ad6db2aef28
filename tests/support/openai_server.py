"""The plumbing of servers that speak OpenAI's API: a port of their own, JSON in, JSON or server-sent events out."""

from __future__ import annotations

import json
import sys
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class OpenAIServer(ABC):
    """A server, as a context manager; what it answers is the subclass's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @abstractmethod
    def answer(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body for one request, in whatever thread; of what is streamed, the list of its chunks."""

    @property
    def url(self) -> str:
        """What an OpenAI client takes as ``base_url``, and ``OPENAI_BASE_URL`` as well."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def error_body(message: str, code: str) -> dict[str, Any]:
    """What OpenAI answers where something is wrong."""
    return {"error": {"message": message, "type": code, "code": code, "param": None}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own business."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, headers, payload = server.answer(self.path, key, body)
            kind, content = "application/json", json.dumps(payload).encode()
            if isinstance(payload, list):
                events = [*map(json.dumps, payload), "[DONE]"]
                kind, content = "text/event-stream", "".join(f"data: {event}\n\n" for event in events).encode()
            self.send_response(status)
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler
