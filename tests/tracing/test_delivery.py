"""Why spans have not arrived, in one line without a secret."""

from __future__ import annotations

import socket

import pytest

from prefect_experiments.tracing import TraceExport
from prefect_experiments.tracing.delivery import Delivery
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
