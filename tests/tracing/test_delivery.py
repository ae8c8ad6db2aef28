"""Why spans have not arrived, in one line without a secret."""

from __future__ import annotations

import gzip
import socket
from typing import Any

import pytest

from prefect_experiments.tracing import TraceExport
from prefect_experiments.tracing.delivery import Delivery, Outcome
from support.fault_proxy import Answer, FaultProxy
from support.tls import ForwardProxy, Listener

SECRET = "s3cret"


class Says(Listener):
    """Answers each request with the same bytes, and closes the connection."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(self._answer)


def reason(endpoint: str) -> str:
    delivery = Delivery(TraceExport(endpoint, {"authorization": SECRET}))
    try:
        outcome = delivery.send([])
    finally:
        delivery.close()
    assert outcome.kind == "failed"
    assert SECRET not in outcome.reason
    return outcome.reason


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "the connection was closed"),
        (
            b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
            "what answers does not speak HTTP; is this a port for gRPC, or for https://?",
        ),
    ],
)
def test_what_answers_is_no_collector(answer: bytes, said: str) -> None:
    with Says(answer) as there:
        assert reason(f"http://127.0.0.1:{there.port}/v1/traces") == said


def test_a_host_that_is_not_there() -> None:
    assert reason("http://no-such-host.invalid/v1/traces") == "there is no host of that name"


def test_a_proxy_that_wants_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    with ForwardProxy("me:another") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//me:{SECRET}@"))
        monkeypatch.setenv("NO_PROXY", "")
        said = reason("https://collector.example/v1/traces")
        assert said == f"the proxy does not let us through over the proxy {proxy.url}"


WRONG_KEY, WRONG_PLACE = "is the API key right?", "is this the address for traces?"


@pytest.mark.parametrize(
    ("status", "kind", "reason", "more"),
    [
        (200, "delivered", "", {}),
        (299, "delivered", "", {}),
        (300, "failed", f"HTTP 300 ({WRONG_PLACE})", {}),
        (399, "failed", f"HTTP 399 ({WRONG_PLACE})", {}),
        (400, "rejected", "HTTP 400", {}),
        (401, "failed", f"HTTP 401 ({WRONG_KEY})", {}),
        (403, "failed", f"HTTP 403 ({WRONG_KEY})", {}),
        (404, "failed", f"HTTP 404 ({WRONG_PLACE})", {}),
        (405, "failed", f"HTTP 405 ({WRONG_PLACE})", {}),
        (406, "failed", "HTTP 406", {}),
        (413, "too_large", "HTTP 413", {}),
        (415, "rejected", "HTTP 415", {}),
        (422, "rejected", "HTTP 422", {}),
        (429, "failed", "HTTP 429", {"busy": True}),
        (500, "failed", "HTTP 500", {"fault": True}),
        (502, "failed", "HTTP 502", {}),
        (503, "failed", "HTTP 503", {"busy": True}),
    ],
)
def test_what_each_status_means(status: int, kind: Any, reason: str, more: dict[str, Any]) -> None:
    asked = {"retry-after": "7"} if kind == "failed" else {}
    with FaultProxy("http://127.0.0.1:1", lambda _: Answer(status, b"", asked)) as there:
        delivery = Delivery(TraceExport(f"{there.url}/v1/traces"))
        outcome = delivery.send([])
        delivery.close()
    assert outcome == Outcome(kind, reason, **more, retry_after=7.0 if asked else None)
    assert len(there.requests) == 1


TRACES, ALL = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"


@pytest.mark.parametrize(
    ("said", "compressed"),
    [
        ({}, False),
        ({ALL: " GZIP "}, True),
        ({TRACES: "gzip"}, True),
        ({TRACES: "none", ALL: "gzip"}, False),
        ({TRACES: "", ALL: "gzip"}, True),
    ],
)
def test_spans_are_compressed_where_the_environment_says_so(
    said: dict[str, str], compressed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (TRACES, ALL):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with FaultProxy("http://127.0.0.1:1", lambda _: Answer(200)) as there:
        delivery = Delivery(TraceExport(f"{there.url}/v1/traces"))
        assert delivery.send([]) == Outcome("delivered")
        delivery.close()
    [request] = there.requests
    assert request.headers.get("content-encoding") == ("gzip" if compressed else None)
    assert (gzip.decompress(request.body) if compressed else request.body) == b""
