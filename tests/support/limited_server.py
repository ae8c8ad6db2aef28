"""A provider that lets so many calls through in any second, and notes who called and when."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

LATENCY_S = 0.05


class Call(NamedTuple):
    """A call as the server has seen it.

    Attributes:
        at: when, by the monotonic clock.
        who: as the path says.
        refused: whether it was answered with 429.
    """

    at: float
    who: str
    refused: bool


class LimitedServer:
    """An HTTP server on a free port of 127.0.0.1.

    Args:
        per_second: how many calls pass in any second; ``None`` for all.
        retry_after: the seconds after which it lets those come back that it refuses.
    """

    def __init__(self, per_second: int | None, retry_after: int) -> None:
        self.per_second, self.retry_after = per_second, retry_after
        self.calls: list[Call] = []
        self.refuse_next = False
        self._passed: deque[float] = deque()
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                refused = owner._refuses(self.path.strip("/"))
                time.sleep(LATENCY_S)
                with contextlib.suppress(OSError):  # whoever asked was ended
                    self.send_response(429 if refused else 200)
                    if refused:
                        self.send_header("Retry-After", str(owner.retry_after))
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def _refuses(self, who: str) -> bool:
        with self._lock:
            now = time.monotonic()
            while self._passed and self._passed[0] <= now - 1:
                self._passed.popleft()
            refused = self.refuse_next or (self.per_second is not None and len(self._passed) >= self.per_second)
            self.refuse_next = False
            if not refused:
                self._passed.append(now)
            self.calls.append(Call(now, who, refused))
            return refused

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
