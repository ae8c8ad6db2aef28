"""`backends.http` on its own, against small servers: what an answer means, what is waited for, what is never shown."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from prefect_experiments.backends import http, patience
from prefect_experiments.backends.http import Address, Http
from prefect_experiments.errors import (
    AlreadyExists,
    BackendRefused,
    BackendUnavailable,
    ExperimentsError,
    InvalidInput,
    InvalidSetting,
    NotFound,
)
from prefect_experiments.network import retry_after
from support.fault_proxy import HTML, Action, Answer, Cut, FaultProxy, Hang, Pass
from support.patience import FOREVER_S, PATIENCE_S, wait_for
from support.zones import in_zone

KEY = "sk-very-secret-1234"
HEADERS = {"Authorization": f"Bearer {KEY}", "X-Tenant": "tenant-secret"}
VERSION = {"x-phoenix-server-version": "12.3"}
JSON = {"content-type": "application/json"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """Answers ``{}`` to everything, until told otherwise."""
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.01)
    with FaultProxy("http://127.0.0.1:1", lambda _: Answer(200, b"{}", JSON)) as proxy:
        yield proxy


def http_to(server: FaultProxy, **options: Any) -> Http:
    named = {"key_setting": "THE_KEY", "url_setting": "THE_URL", "version_header": "x-phoenix-server-version"}
    settings = {"headers": HEADERS, "timeout": 5.0, **named, **options}
    return Http(Address("Phoenix", server.url, **settings))


def detail(text: Any) -> bytes:
    return orjson.dumps({"detail": text})


def once(server: FaultProxy, answer: Action, method: str = "POST", **options: Any) -> Any:
    """What comes of one request: the value, or the error."""
    server.plan = lambda _: answer
    try:
        return asyncio.run(http_to(server, **options).once(method, "/v1/things", json={"a": 1}))
    except ExperimentsError as error:
        return error


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (Answer(400, b"no name given"), BackendRefused, "refused the request (HTTP 400): no name given"),
        (Answer(401, b"nope"), InvalidSetting, "refused the key (HTTP 401); set THE_KEY"),
        (Answer(403, detail("no right")), InvalidSetting, "refused the key (HTTP 403); set THE_KEY"),
        (Answer(404, b"no such thing"), NotFound, ": no such thing"),
        (Answer(404, detail("Not Found"), VERSION), InvalidSetting, "is version 12.3, which has no POST /v1/things"),
        (Answer(404, HTML, {"content-type": "text/html"}), InvalidSetting, "is not Phoenix: POST /v1/things gave HTTP"),
        (Answer(404), InvalidSetting, "set THE_URL"),
        (Answer(405, detail("Method Not Allowed"), VERSION), InvalidSetting, "upgrade Phoenix"),
        (Answer(407, b"who are you"), InvalidSetting, "does not let us through (HTTP 407); is what HTTP_PROXY"),
        (Answer(409, detail("it is there")), AlreadyExists, ": it is there"),
        (Answer(413, HTML, {"content-type": "text/html"}), BackendRefused, "too large (HTTP 413)"),
        (Answer(400, HTML, {"content-type": "text/html"}), InvalidSetting, "is not Phoenix"),
        (Answer(408), BackendUnavailable, "answered HTTP 408"),
        (Answer(429, b"slow down"), BackendUnavailable, "answered HTTP 429: slow down"),
        (Answer(500, b"Internal Server Error"), BackendUnavailable, "answered HTTP 500: Internal Server Error"),
        (Answer(502, HTML, {"content-type": "text/html"}), BackendUnavailable, "answered HTTP 502"),
        (Answer(503, orjson.dumps({"title": "later"})), BackendUnavailable, "answered HTTP 503: later"),
        (Answer(507), BackendUnavailable, "answered HTTP 507"),
        (Answer(200, HTML, {"content-type": "text/html"}), InvalidSetting, "is not Phoenix"),
        (Answer(200, b'{"data": [', VERSION), InvalidSetting, "gave HTTP 200"),
        (
            Answer(307, b"", {"location": "https://s3cret@login.example/s3cret?code=s3cret"}),
            InvalidSetting,
            "login.example;",
        ),
        (Answer(302, b"", {"location": "/login"}), InvalidSetting, "sends on to /login; set THE_URL"),
        (Answer(304), InvalidSetting, "gave HTTP 304 and"),
        (Cut(), BackendUnavailable, "does not answer (RemoteProtocolError"),
        (Answer(200, b"no gzip", {"content-encoding": "gzip"}), BackendUnavailable, "does not answer (DecodingError"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, Answer | Cut) else "",
)
def test_each_answer_has_its_meaning_in_one_line(
    server: FaultProxy, answer: Action, kind: type[ExperimentsError], says: str
) -> None:
    error = once(server, answer)
    assert type(error) is kind
    assert says in str(error)
    assert f"Phoenix at {server.url}" in str(error) or f"what answers at {server.url} is not Phoenix" in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 500
    assert "s3cret" not in str(error)
    assert len(server.requests) == 1, "one request, and no following of redirects"


def test_what_comes_back_is_the_json(server: FaultProxy) -> None:
    assert once(server, Answer(200, b'{"data": [1, null]}')) == {"data": [1, None]}
    assert once(server, Answer(201, b"3")) == 3
    assert once(server, Answer(200)) is None
    assert once(server, Answer(204)) is None
    [first, *_] = server.requests
    assert first.json == {"a": 1}
    assert first.headers["content-type"] == "application/json"
    assert first.headers["authorization"] == f"Bearer {KEY}"


def test_a_complaint_names_the_place_and_never_the_value(server: FaultProxy) -> None:
    said = [
        {"type": "missing", "loc": ["body", "start_time"], "msg": "Field required", "input": {"row": "private"}},
        {"type": "int_parsing", "loc": ["body", "n"], "msg": "Input should be an integer", "input": "private"},
    ]
    error = once(server, Answer(422, detail(said), JSON))
    assert type(error) is BackendRefused
    assert "body.start_time: Field required; body.n: Input should be an integer" in str(error)
    assert "private" not in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("-3", 0),
        ("1.5", 1.5),
        (lambda: email.utils.formatdate(time.time() + 3600, usegmt=True), 3600),
        (lambda: email.utils.formatdate(time.time() + 3600), 3600),  # with -0000, which Python takes for no zone
        (lambda: email.utils.formatdate(time.time() - 3600, usegmt=True), 0),
        ("soon", None),
        ("", None),
        ("Mon, 99 Xyz 2026 00:00:00 GMT", None),
    ],
    ids=[
        "7",
        "0",
        "-3",
        "1.5",
        "in an hour",
        "in an hour, without a zone",
        "an hour ago",
        "soon",
        "nothing",
        "no date",
    ],
)
def test_retry_after_as_seconds_and_as_a_date(
    server: FaultProxy, header: str | Callable[[], str], seconds: float | None
) -> None:
    said = header if isinstance(header, str) else header()  # a date is one of now, however long the tests have taken
    error = once(server, Answer(429, b"", {"retry-after": said}))
    assert type(error) is BackendUnavailable
    assert error.retry_after == (seconds if seconds is None else pytest.approx(seconds, abs=300 if seconds > 60 else 0))


def test_a_get_is_tried_three_times_and_a_post_once(server: FaultProxy) -> None:
    server.plan = lambda _: Answer(503)
    client = http_to(server)
    with pytest.raises(BackendUnavailable):
        asyncio.run(client.get("/v1/things"))
    assert len(server.requests) == 3
    with pytest.raises(BackendUnavailable):
        asyncio.run(client.once("POST", "/v1/things", json={}))
    assert len(server.requests) == 4


def test_a_request_that_waits_says_so_and_when_it_goes_on(
    server: FaultProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http, "SAID_AFTER_S", 0.0)
    server.plan = lambda request: Answer(503, b"busy") if request.number == 1 else Answer(200, b"{}", JSON)
    address = http_to(server)
    asyncio.run(address.get("/v1/things"))
    assert caplog.messages == [
        f"{address.address} is busy or away (answered HTTP 503: busy): waiting for it.",
        "Phoenix answers again after 0 s.",
    ]


@pytest.mark.parametrize("value", [object(), "\ud800"], ids=["no JSON", "no Unicode"])
def test_what_cannot_be_sent_is_refused(server: FaultProxy, value: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be sent what is no JSON or no Unicode: "):
        asyncio.run(http_to(server).once("POST", "/v1/things", json={"a": value}))
    assert server.requests == []


@pytest.mark.parametrize("answer", [Answer(401), Answer(404, b"none"), Answer(422, b"no"), Answer(200, HTML)])
def test_what_will_not_pass_is_not_tried_again(server: FaultProxy, answer: Answer) -> None:
    server.plan = lambda _: answer
    with pytest.raises(ExperimentsError):
        asyncio.run(http_to(server).get("/v1/things"))
    assert len(server.requests) == 1


def test_a_get_waits_as_long_as_it_is_asked_to(server: FaultProxy) -> None:
    server.plan = lambda request: Answer(429, b"", {"retry-after": "0.6"}) if request.number == 1 else Answer(200, b"1")
    began = time.monotonic()
    assert asyncio.run(http_to(server).get("/v1/things")) == 1
    assert time.monotonic() - began >= 0.6


def test_what_hangs_is_given_up_in_time(server: FaultProxy) -> None:
    error = once(server, Hang(), timeout=0.5)
    assert type(error) is BackendUnavailable
    assert str(error) == f"Phoenix at {server.url} did not answer within 0.5 s"


def test_a_request_may_have_its_own_time(server: FaultProxy) -> None:
    server.plan = lambda _: Hang()
    with pytest.raises(BackendUnavailable, match=r"did not answer within 0\.3 s"):
        asyncio.run(http_to(server, timeout=FOREVER_S).once("POST", "/v1/upload", json={}, timeout=0.3))


@contextlib.contextmanager
def dribbling() -> Iterator[str]:
    """A server whose answer comes letter by letter, and never ends."""

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            while True:
                connection.sendall(b" ")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=lambda: serve(listening.accept()[0]), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_an_answer_that_never_ends_is_given_up_too() -> None:
    with dribbling() as url, pytest.raises(BackendUnavailable, match=r"did not answer within 0\.7 s"):
        asyncio.run(Http(Address("Phoenix", url, timeout=0.7)).once("GET", "/"))


@pytest.mark.thorough
def test_waiting_for_a_turn_is_not_waiting_for_an_answer() -> None:
    """Many requests at once, each answered in half a second: none is given up because others went before it."""
    with slow_server(0.5) as url:

        async def many() -> list[Any]:
            client = Http(Address("Phoenix", url, timeout=4))
            return await asyncio.gather(*(client.once("GET", f"/{n}") for n in range(200)))

        began = time.monotonic()
        assert asyncio.run(many()) == [1] * 200
        assert time.monotonic() - began > 4, "it was too quick to prove anything"


@contextlib.contextmanager
def slow_server(seconds: float) -> Iterator[str]:
    with FaultProxy("http://127.0.0.1:1", lambda _: Answer(200, b"1")) as behind:  # noqa: SIM117
        with FaultProxy(behind.url, lambda _: Pass(delay=seconds)) as front:
            yield front.url


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(BackendUnavailable, match=r"does not answer .*is it running, and is base_url= right"):
        asyncio.run(Http(Address("Phoenix", f"http://127.0.0.1:{port}")).once("GET", "/"))
    with pytest.raises(BackendUnavailable, match="does not answer"):
        asyncio.run(Http(Address("Phoenix", "http://no-such-host.invalid")).once("GET", "/"))


def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(InvalidSetting, match="its certificate is not trusted"):
            asyncio.run(Http(Address("Phoenix", f"https://localhost:{server.server_port}")).once("GET", "/"))
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6006",
        "ftp://host",
        "",
        "http://",
        "http://host:port",
        "http://user:hunter2@host",
        "http://hunter2@host",
        "user:hunter2@host:6006",
        "phoenix://user:hunter2@host",
        "http://host/?api_key=hunter2",
        "http://host/#hunter2",
        "host?token=hunter2",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_its_secrets(url: str) -> None:
    with pytest.raises(
        InvalidSetting, match=r"Phoenix's address must (be a URL such as http.* got|hold no user, password or)"
    ) as caught:
        Address("Phoenix", url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, f"invalid header: Bearer {KEY}".encode()),
        Answer(422, detail(f"Bearer {KEY} and tenant-secret are no good")),
        Answer(409, KEY.encode()),
        Answer(401, KEY.encode()),
        Answer(200, KEY.encode()),
        Cut(),
        Hang(),
    ],
    ids=str,
)
def test_no_secret_is_ever_shown(
    server: FaultProxy, answer: Action, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    client = http_to(server, timeout=0.5)
    server.plan = lambda _: answer
    with pytest.raises(ExperimentsError) as caught:
        asyncio.run(client.once("POST", "/v1/things", json={"row": "private"}))
    shown = [
        repr(client),
        repr(client.address),
        str(client.address),
        str(caught.value),
        repr(caught.value),
        caplog.text,
    ]
    assert caplog.text, "nothing was logged, so this proves little"
    for secret in (KEY, "tenant-secret", "private"):
        assert not [text for text in shown if secret in text]


def test_a_header_that_cannot_be_sent_is_not_shown(server: FaultProxy) -> None:
    error = once(server, Answer(200), headers={"Authorization": f"Bearer {KEY} "})
    assert type(error) is InvalidSetting
    assert "HTTP cannot carry" in str(error)
    assert KEY not in str(error)


def test_a_proxy_setting_that_cannot_be_used_is_said_and_not_shown(
    server: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"gopher://me:{KEY}@proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    error = once(server, Answer(200))
    assert type(error) is InvalidSetting
    assert "HTTP_PROXY" in str(error)
    assert KEY not in str(error)


def test_connections_are_kept_within_a_loop(server: FaultProxy) -> None:
    client = http_to(server)

    async def several() -> None:
        for _ in range(5):
            await client.once("GET", "/")

    asyncio.run(several())
    assert server.connections == 1


def test_each_loop_has_connections_of_its_own_and_closes_them(server: FaultProxy) -> None:
    client = http_to(server)
    for _ in range(3):
        assert asyncio.run(client.once("GET", "/")) == {}
    wait_for(lambda: server.open_connections == 0, "closed connections")
    assert server.connections == 3


def test_connections_are_closed_when_nobody_uses_them(server: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CLOSED_AFTER_S", 0.2)
    client = http_to(server)

    async def used_again() -> None:
        await client.once("GET", "/")
        assert server.open_connections == 1
        await asyncio.to_thread(wait_for, lambda: server.open_connections == 0, "closed connections")
        assert await client.once("GET", "/") == {}

    asyncio.run(used_again())
    assert server.connections == 2


def test_a_cancelled_request_leaves_nothing_behind(server: FaultProxy) -> None:
    server.plan = lambda request: Hang() if request.path == "/hang" else Answer(200, b"1")
    client = http_to(server)

    async def cancelled() -> Any:
        hanging = [asyncio.create_task(client.once("GET", "/hang")) for _ in range(20)]  # more than there are turns
        await asyncio.to_thread(wait_for, lambda: server.requests, "the first of them")
        for task in hanging:
            task.cancel()
        results = await asyncio.gather(*hanging, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        return await client.once("GET", "/")

    assert asyncio.run(cancelled()) == 1


@pytest.mark.thorough
def test_nothing_is_left_open_at_the_end_of_a_process(server: FaultProxy) -> None:
    script = f"""
import asyncio
from prefect_experiments.backends.http import Address, Http
from prefect_experiments.sync import run_sync
client = Http(Address("Phoenix", {server.url!r}))
print(run_sync(lambda: client.get("/")), asyncio.run(client.get("/")))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{} {}\n", "")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_date_without_a_zone_is_universal_time_wherever_this_runs(zone: str) -> None:
    """``-0000`` says that a time is of no known zone: HTTP's are universal (RFC 9110, 5.6.7)."""
    with in_zone(zone):
        asked = retry_after(time.strftime("%a, %d %b %Y %H:%M:%S -0000", time.gmtime(time.time() + 1800)))
    assert asked is not None
    assert 1000 < asked < 1801
