"""A local collector that takes spans by OTLP over HTTP and keeps what it was sent.

    with Collector() as collector:
        TraceExport(collector.endpoint)
        collector.wait_for(3)
        collector.spans

It can answer with any status, late, or not at all, and be stopped and started again on its port.
"""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.patience import PATIENCE_S
from support.servers import free_port


@dataclass
class SeenSpan:
    """A span as it arrived. Ids are lower-case hex digits; `status` is ``UNSET``, ``OK`` or ``ERROR``."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    status: str
    status_text: str
    events: list[tuple[str, dict[str, Any]]]
    links: list[tuple[str, str]]
    seconds: float

    @property
    def project(self) -> str:
        return self.resource["openinference.project.name"]


@dataclass
class Request:
    """A request as it arrived, answered with success or not."""

    path: str
    headers: dict[str, str]
    spans: list[SeenSpan] = field(default_factory=list)
    body_bytes: int = 0
    at: float = field(default_factory=time.monotonic)


class Collector:
    """The server, as a context manager.

    Attributes:
        status: what it answers with.
        headers: further headers of its answers.
        delay: seconds before it answers.
        judge: gives the status for one request's spans, where it depends on them.
        requests: all that came, in order.
        spans: of the requests that were answered with success.
    """

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.delay = 0.0
        self.judge: Callable[[list[SeenSpan]], int] | None = None
        self.requests: list[Request] = []
        self.spans: list[SeenSpan] = []
        self._news = threading.Condition()
        self._silent = threading.Event()
        self._over = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._port = free_port()  # its own while it is stopped, too

    def __enter__(self) -> Collector:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.stop()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1/traces"

    def start(self) -> None:
        """Listen, on the port it had before."""
        self._server = _Server(("127.0.0.1", self._port), _handler(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Close the port and the connections; what was sent stays here."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def hang(self) -> None:
        """From now on take requests and never answer."""
        self._silent.set()

    def named(self, name: str) -> list[SeenSpan]:
        return [span for span in self.spans if span.name == name]

    def wait_for(self, spans: int, timeout: float = PATIENCE_S) -> list[SeenSpan]:
        """The spans, once there are that many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.spans) >= spans, timeout), f"{len(self.spans)} spans came"
            return list(self.spans)

    def wait_for_requests(self, requests: int, timeout: float = PATIENCE_S) -> list[Request]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.requests) >= requests, timeout), f"{len(self.requests)} came"
            return list(self.requests)

    def take(self, request: Request) -> int | None:
        """The status to answer with; ``None`` for no answer."""
        status = self.judge(request.spans) if self.judge else self.status  # as it is when the request comes
        with self._news:
            self.requests.append(request)
            self._news.notify_all()
        if self._silent.is_set():
            self._over.wait()
            return None
        time.sleep(self.delay)
        if 200 <= status < 300:
            with self._news:
                self.spans.extend(request.spans)
                self._news.notify_all()
        return status


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away is what some tests are about


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = Request(self.path, {name.lower(): value for name, value in self.headers.items()})
            request.spans = _decoded(body)
            request.body_bytes = len(body)
            status = collector.take(request)
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in collector.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def _decoded(body: bytes) -> list[SeenSpan]:
    message = ExportTraceServiceRequest()
    message.ParseFromString(body)
    return [
        _seen(span, _plain(of_resource.resource.attributes))
        for of_resource in message.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _seen(span: Any, resource: dict[str, Any]) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_plain(span.attributes),
        resource=resource,
        status=("UNSET", "OK", "ERROR")[span.status.code],
        status_text=span.status.message,
        events=[(event.name, _plain(event.attributes)) for event in span.events],
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
