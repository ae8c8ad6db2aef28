"""The HTTP side: who is let in, what is asked, what goes wrong on demand, and a record of all of it."""

from __future__ import annotations

import gzip
import json
import re
import socket
import struct
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from experiments import Experiments
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from problems import Problem
from spaces import Spaces
from traces import Traces

from datasets import Datasets
from faults import Plan

NO_PATH = "404 page not found"
DEFAULTS: dict[str, Any] = {
    "api_key": "test-key",
    "lists": "both",  # or "get", "post": which of the two forms of lists there is
    "columnar": False,
    "null_failed_output": False,
    "most_bytes": 10_000_000,  # of a body; nothing is known of the real one's limit
    "rate": None,  # [requests, seconds]: more are answered 429
    "retry_after": "1",
}


class StandIn:
    """Everything that one server holds."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.plan = Plan()
        self.reset()

    def reset(self) -> None:
        self.settings = dict(DEFAULTS)
        self.spaces = Spaces()
        self.spaces.add("default")
        self.datasets = Datasets(self.spaces)
        self.experiments = Experiments(self.spaces, self.datasets)
        self.requests: list[dict[str, Any]] = []
        self.traces = Traces()
        self._recent: deque[float] = deque()
        self.plan.set([])

    def serve(self, port: int) -> None:
        handler = type("BoundHandler", (Handler,), {"stand_in": self})
        _Server(("127.0.0.1", port), handler).serve_forever(poll_interval=0.05)

    # The API

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Status and body of the answer to one request that was let in."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[0] != "v2" or len(parts) < 2:
            raise Problem(404, NO_PATH)
        handler = getattr(self, f"_{parts[1]}", None)
        found = handler(method, parts[2:], query, body) if handler and parts[1] in _RESOURCES else None
        if found is None:
            raise Problem(404, NO_PATH)
        return found  # type: ignore[no-any-return]

    def _spaces(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any] | None:
        if method == "GET" and not rest:
            return 200, self.spaces.list(query)
        if method == "GET" and len(rest) == 1:
            return 200, self.spaces.get(rest[0])
        return None

    def _tags(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any] | None:
        return (201, self.spaces.create_tag(body)) if method == "POST" and not rest else None

    def _projects(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any] | None:
        return (200, self.traces.list_projects(query)) if method == "GET" and not rest else None

    def _spans(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any] | None:
        return (200, self.traces.list_spans(query, body)) if method == "POST" and not rest else None

    def _datasets(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any] | None:
        them, key = self.datasets, (method, *rest[1:])
        if not rest:
            return {"GET": lambda: (200, them.list(query)), "POST": lambda: (201, them.create(body))}.get(
                method, lambda: None
            )()
        one = rest[0]
        if key == ("GET", "examples") and self.settings["lists"] == "post":
            return None
        if key == ("POST", "examples", "search") and self.settings["lists"] == "get":
            return None
        routes: dict[tuple[str, ...], Any] = {
            ("GET",): lambda: (200, them.get(one)),
            ("PATCH",): lambda: (200, them.rename(one, body)),
            ("DELETE",): lambda: (204, them.delete(one)),
            ("GET", "examples"): lambda: (200, them.list_examples(one, query)),
            ("POST", "examples", "search"): lambda: (200, them.list_examples(one, _searched(body, "DatasetExamples"))),
            ("POST", "examples"): lambda: (201, them.append_examples(one, query, body)),
            ("PATCH", "examples"): lambda: (200, them.update_examples(one, query, body)),
            ("DELETE", "examples"): lambda: (200, them.delete_examples(one, body)),
            ("POST", "examples", "annotate"): lambda: (202, them.annotate(one, body)),
        }
        return routes[key]() if key in routes else None

    def _experiments(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any] | None:
        them, key = self.experiments, (method, *rest[1:])
        if not rest:
            return {"GET": lambda: (200, them.list(query)), "POST": lambda: (201, them.create(body))}.get(
                method, lambda: None
            )()
        one = rest[0]
        if key == ("GET", "runs") and self.settings["lists"] == "post":
            return None
        if key == ("POST", "runs", "search") and self.settings["lists"] == "get":
            return None
        routes: dict[tuple[str, ...], Any] = {
            ("GET",): lambda: (200, them.head(one)),
            ("DELETE",): lambda: (204, them.delete(one)),
            ("GET", "runs"): lambda: (200, them.list_runs(one, query)),
            ("POST", "runs", "search"): lambda: (200, them.search_runs(one, body)),
            ("POST", "runs"): lambda: (201, them.append_runs(one, body)),
            ("POST", "runs", "annotate"): lambda: (202, them.annotate(one, body)),
            ("GET", "tags"): lambda: (200, self.spaces.tags_of(them.head(one)["id"])),
            ("POST", "tags"): lambda: (200, self.spaces.add_tags(one, them.head(one)["space_id"], body)),
            ("DELETE", "tags"): lambda: (200, self.spaces.remove_tags(them.head(one)["id"], body)),
        }
        return routes[key]() if key in routes else None

    def check_rate(self) -> None:
        if self.settings["rate"]:
            most, seconds = self.settings["rate"]
            while self._recent and self._recent[0] < time.monotonic() - seconds:
                self._recent.popleft()
            if len(self._recent) >= most:
                raise Problem(429, "rate limit exceeded", {"Retry-After": str(self.settings["retry_after"])})
            self._recent.append(time.monotonic())

    # What tests ask for

    def control(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        if path == "/control/health":
            return {}
        if path == "/control/reset":
            self.reset()
        elif path == "/control/settings":
            self.settings.update(body)
            self.datasets.columnar = self.settings["columnar"]
            self.experiments.null_failed_output = self.settings["null_failed_output"]
        elif path == "/control/faults":
            self.plan.set(body)
        elif path == "/control/spaces":
            return self.spaces.add(body["name"])
        elif path == "/control/annotation-configs":
            self.spaces.annotation_configs[body["space_id"]].add(body["name"])
        elif path == "/control/requests":
            if method == "DELETE":
                self.requests.clear()
            return [r for r in self.requests if re.search(query.get("path", ""), r["path"])]
        elif path == "/control/spans":
            return {"count": self.traces.count, "spans": self.traces.spans}
        elif path == "/control/state":
            return {
                "spaces": list(self.spaces.spaces.values()),
                "datasets": [
                    {**head, "versions": [
                        {**version, "examples": list(self.datasets.examples[version["id"]].values())}
                        for version in self.datasets.versions[head["id"]]
                    ]}
                    for head in self.datasets.heads.values()
                ],
                "experiments": [
                    {**head, "runs": list(self.experiments.runs[head["id"]].values())}
                    for head in self.experiments.heads.values()
                ],
            }  # fmt: skip
        else:
            raise Problem(404, f"no such control: {path}")
        return {}

    def take_spans(self, headers: dict[str, str] | None, request: ExportTraceServiceRequest) -> None:
        with self.lock:
            self.traces.take(headers, request)


_RESOURCES = ("spaces", "tags", "projects", "spans", "datasets", "experiments")
_LATER = {"experiments": {"space_id", "integration_id"}, "spaces": {"organization_id", "is_private"}}  # than 8.42


def _searched(body: Any, what: str) -> dict[str, Any]:
    from wire import checked

    return checked(f"Search{what}Request", body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own business, and cutting connections is ours."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet
    stand_in: StandIn

    def _handle(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.path.startswith("/control/"):
            with self.stand_in.lock:
                try:
                    found = self.stand_in.control(self.command, parts.path, query, json.loads(raw) if raw else None)
                except Problem as problem:
                    return self._send(problem.status, problem.body(parts.path))
                return self._send(200, found)
        if parts.path == "/v1/traces":
            return self._traces(raw)
        return self._api(parts.path, query, raw)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _handle

    def _traces(self, raw: bytes) -> None:
        message = ExportTraceServiceRequest()
        message.ParseFromString(gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw)
        self.stand_in.take_spans({name.lower(): value for name, value in self.headers.items()}, message)
        self._send_bytes(200, b"", {"Content-Type": "application/x-protobuf"})

    def _api(self, path: str, query: dict[str, str], raw: bytes) -> None:
        fault = self.stand_in.plan.next(self.command, path)
        record = {
            "method": self.command,
            "path": unquote(path),
            "target": self.path,
            "query": query,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "raw": raw.decode(errors="replace"),
            "fault": fault,
            "time": time.time(),
        }
        with self.stand_in.lock:
            self.stand_in.requests.append(record)
        time.sleep(fault.get("delay", 0))
        refuses = "status" in fault or "garbage" in fault
        if fault.get("cut") == "before" or (refuses and not fault.get("applied")):
            status, body, headers = 0, None, {}
        else:
            status, body, headers = self._applied(path, query, raw)
        record["status"] = status
        self._answer(status, body, headers, fault)

    def _answer(self, status: int, body: Any, headers: dict[str, str], fault: dict[str, Any]) -> None:
        cut = fault.get("cut")
        if cut in ("before", "after"):
            return self._cut()
        if "garbage" in fault:
            kind = {"Content-Type": fault.get("type", "text/html")}
            return self._send_bytes(fault.get("status", 200), fault["garbage"].encode(), kind)
        if "status" in fault:
            problem = Problem(fault["status"], fault.get("text", "as the test asked for"))
            kind = {"Content-Type": "application/problem+json", **fault.get("headers", {})}
            return self._send_bytes(problem.status, json.dumps(problem.body(self.path)).encode(), kind)
        if status == 404 and body["detail"] == NO_PATH:  # as Go's own server has it
            return self._send_bytes(404, f"{NO_PATH}\n".encode(), {"Content-Type": "text/plain; charset=utf-8"})
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/problem+json" if status >= 400 else "application/json", **headers}
        return self._send_bytes(status, content, headers, cut="middle" if cut == "middle" else None)

    def _applied(self, path: str, query: dict[str, str], raw: bytes) -> tuple[int, Any, dict[str, str]]:
        stand_in = self.stand_in
        with stand_in.lock:
            try:
                if self.headers.get("Authorization") != f"Bearer {stand_in.settings['api_key']}":
                    raise Problem(401, "invalid API key")
                stand_in.check_rate()
                if len(raw) > stand_in.settings["most_bytes"]:
                    raise Problem(413, f"the body has {len(raw)} bytes, {stand_in.settings['most_bytes']} are allowed")
                status, body = stand_in.answer(self.command, path, query, _json(raw))
            except Problem as problem:
                return problem.status, problem.body(path), problem.headers
            # An older client knows no field that came later, and refuses the answer that has it.
            if _older_than(self.headers.get("sdk-version", ""), (8, 50)):
                body = _without(body, _LATER.get(path.split("/")[2], set()))
            return status, json.loads(json.dumps(body)), {}

    def _send(self, status: int, body: Any) -> None:
        self._send_bytes(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _send_bytes(self, status: int, content: bytes, headers: dict[str, str], cut: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.wfile.flush()
        if cut:
            self._cut()

    def _cut(self) -> None:
        """Close the connection hard, as when a machine on the way goes down."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def _json(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return json.loads(raw, parse_constant=_refuse)
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _older_than(version: str, other: tuple[int, int]) -> bool:
    found = re.match(r"(\d+)\.(\d+)", version)
    return bool(found) and (int(found[1]), int(found[2])) < other


def _without(body: Any, names: set[str]) -> Any:
    if isinstance(body, dict):
        return {name: _without(value, names) for name, value in body.items() if name not in names}
    return [_without(item, names) for item in body] if isinstance(body, list) else body
