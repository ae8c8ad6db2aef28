"""One way out: what lets results through lets traces through, and the other way round.

A real TLS server with an authority of its own, and a real proxy, stand before a server that answers both.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import certifi
import pytest

from prefect_experiments import Client
from prefect_experiments.errors import ExperimentsError, InvalidSetting
from prefect_experiments.tracing import ExperimentTracer, sender
from support.fault_proxy import Answer, FaultProxy, Request
from support.patience import PATIENCE_S
from support.tls import Authority, ForwardProxy, Listener, TlsFront
from tests.tracing.harness import experiment

JSON = {"content-type": "application/json"}
VARIABLES = ("SSL_", "REQUESTS_", "CURL_", "OTEL_", "PHOENIX_", "ARIZE_", "PREFECT_EXPERIMENTS_")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
SECRET = "hunter2-the-secret"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(VARIABLES) or name.lower() in PROXIES]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setattr(sender, "_senders", {})
    monkeypatch.setattr(sender, "LINGER_S", 0.05)
    monkeypatch.setattr(sender, "FIRST_BACKOFF_S", 0.02)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def _answer(request: Request) -> Answer:
    path = request.path.partition("?")[0]
    if path == "/v2/spaces":
        return Answer(200, b'{"spaces": [{"id": "x", "name": "s"}], "pagination": {"has_more": false}}', JSON)
    if path == "/v2/datasets":
        return Answer(200, b'{"datasets": [], "pagination": {"has_more": false}}', JSON)
    return Answer(200, b'{"data": [], "next_cursor": null}', JSON)


@pytest.fixture
def server() -> Iterator[FaultProxy]:
    """Phoenix, AX and a collector in one, as far as these tests ask them."""
    with FaultProxy("http://127.0.0.1:1", _answer) as running:
        yield running


@pytest.fixture
def front(server: FaultProxy, authority: Authority) -> Iterator[TlsFront]:
    with TlsFront(authority, int(server.url.rpartition(":")[2])) as running:
        yield running


def client_of(backend: str, url: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Client:
    if backend == "phoenix":
        return Client(backend="phoenix", base_url=url, **options)
    scheme, _, place = url.partition("://")
    host, _, port = place.partition(":")
    for name, value in (("HOST", host), ("PORT", port), ("SCHEME", scheme)):
        monkeypatch.setenv(f"ARIZE_OTLP_{name}", value)
    return Client(backend="arize", base_url=url, api_key="k", space="s", traces=True, **options)


def arrived(client: Client, server: FaultProxy) -> tuple[bool, bool]:
    """Whether results and whether spans get through."""
    before = len(server.requests)
    try:
        client.datasets.list_datasets()
    except ExperimentsError:
        results = False
    else:
        results = len(server.requests) > before
    assert client.remote is not None
    try:
        export = client.remote.trace_export()
    except ExperimentsError:
        return results, False
    tracer = ExperimentTracer("project", export=export)
    experiment(lambda given: given, [1], tracer=tracer)
    return results, tracer.flush(PATIENCE_S if results else 3) and server.count("POST", "/v1/traces") > 0


def every(authority: Authority, tmp_path: Path) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """By a name: variables, and options."""
    own, folder = str(authority.file), str(authority.folder)
    both = tmp_path / "both.pem"
    both.write_bytes(Path(certifi.where()).read_bytes() + authority.file.read_bytes())
    return {
        "SSL_CERT_FILE": ({"SSL_CERT_FILE": own}, {}),
        "SSL_CERT_DIR": ({"SSL_CERT_DIR": folder}, {}),
        "SSL_CERT_DIR, two": ({"SSL_CERT_DIR": f"{tmp_path}{os.pathsep}{folder}"}, {}),
        "REQUESTS_CA_BUNDLE": ({"REQUESTS_CA_BUNDLE": str(both)}, {}),
        "REQUESTS_CA_BUNDLE, a folder": ({"REQUESTS_CA_BUNDLE": folder}, {}),
        "CURL_CA_BUNDLE": ({"CURL_CA_BUNDLE": own}, {}),
        "OTEL_EXPORTER_OTLP_CERTIFICATE": ({"OTEL_EXPORTER_OTLP_CERTIFICATE": own}, {}),
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": ({"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": own}, {}),
        "the first of two": ({"SSL_CERT_FILE": own, "REQUESTS_CA_BUNDLE": certifi.where()}, {}),
        "the second of two": ({"SSL_CERT_FILE": certifi.where(), "REQUESTS_CA_BUNDLE": own}, {}),
        "PREFECT_EXPERIMENTS_VERIFY": ({"PREFECT_EXPERIMENTS_VERIFY": own}, {}),
        "PREFECT_EXPERIMENTS_VERIFY, no": ({"PREFECT_EXPERIMENTS_VERIFY": "false"}, {}),
        "verify, a file": ({}, {"verify": own}),
        "verify, a path": ({}, {"verify": authority.file}),
        "verify, a folder": ({}, {"verify": folder}),
        "verify, no": ({}, {"verify": False}),
        "verify, yes": ({"SSL_CERT_FILE": own, "PREFECT_EXPERIMENTS_VERIFY": certifi.where()}, {"verify": True}),
    }


HOW = [
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CERT_DIR, two", "REQUESTS_CA_BUNDLE", "REQUESTS_CA_BUNDLE, a folder"),
    *("CURL_CA_BUNDLE", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
    *("the first of two", "the second of two", "PREFECT_EXPERIMENTS_VERIFY", "PREFECT_EXPERIMENTS_VERIFY, no"),
    *("verify, a file", "verify, a path", "verify, a folder", "verify, no", "verify, yes"),
]


@pytest.mark.parametrize("backend", ["phoenix", "arize"])
@pytest.mark.parametrize("how", HOW)
def test_an_authority_of_ones_own(
    how: str,
    backend: str,
    server: FaultProxy,
    front: TlsFront,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables, options = every(authority, tmp_path)[how]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert arrived(client_of(backend, front.url, monkeypatch, **options), server) == (True, True)


@pytest.mark.parametrize("how", ["ARIZE_SSL_CA_CERT", "ARIZE_REQUEST_VERIFY"])
def test_ax_s_own_variables_hold_for_its_collector_too(
    how: str, server: FaultProxy, front: TlsFront, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(how, str(authority.file) if how.endswith("CERT") else "false")
    assert arrived(client_of("arize", front.url, monkeypatch), server) == (True, True)


@pytest.mark.mostly_slow
@pytest.mark.parametrize("backend", ["phoenix", "arize"])
@pytest.mark.parametrize("options", [{}, {"verify": certifi.where()}], ids=["nothing", "another one"])
def test_one_that_is_not_trusted_lets_neither_through(
    backend: str,
    options: Mapping[str, Any],
    server: FaultProxy,
    front: TlsFront,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if options:  # what is named there is the only thing that counts
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    client = client_of(backend, front.url, monkeypatch, **options)
    with pytest.raises(InvalidSetting, match=r"not trusted; set SSL_CERT_FILE or verify= to the file with its auth"):
        client.datasets.list_datasets()
    with caplog.at_level(logging.WARNING):
        assert arrived(client, server) == (False, False)
    assert not server.requests
    if backend == "phoenix":  # AX's collector is not asked for: the space is looked up first
        assert "not trusted; set SSL_CERT_FILE or verify=" in caplog.text


@pytest.mark.parametrize("how", ["options", "ours", "OpenTelemetry's", "in one file"])
@pytest.mark.parametrize("backend", ["phoenix", "arize"])
def test_a_certificate_of_this_side(
    how: str,
    backend: str,
    server: FaultProxy,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate, key = authority.certificate("client")
    one = tmp_path / "one.pem"
    one.write_bytes(certificate.read_bytes() + key.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with TlsFront(authority, int(server.url.rpartition(":")[2]), asks_for_certificate=True) as front:
        with pytest.raises(InvalidSetting, match="set client_cert= and client_key="):
            client_of(backend, front.url, monkeypatch).datasets.list_datasets()
        if how == "options":
            client = client_of(backend, front.url, monkeypatch, client_cert=certificate, client_key=key)
        elif how == "in one file":
            client = client_of(backend, front.url, monkeypatch, client_cert=str(one))
        else:
            prefix = "PREFECT_EXPERIMENTS_CLIENT_" if how == "ours" else "OTEL_EXPORTER_OTLP_CLIENT_"
            monkeypatch.setenv(f"{prefix}{'CERT' if how == 'ours' else 'CERTIFICATE'}", str(certificate))
            monkeypatch.setenv(f"{prefix}KEY", str(key))
            client = client_of(backend, front.url, monkeypatch)
        assert arrived(client, server) == (True, True)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("backend", ["phoenix", "arize"])
@pytest.mark.parametrize("name", ["{}_PROXY", "{}_proxy", "ALL_PROXY"])
def test_both_go_over_the_proxy(
    name: str,
    scheme: str,
    backend: str,
    server: FaultProxy,
    front: TlsFront,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    url = front.url if scheme == "https" else server.url
    with ForwardProxy("me:pass") as proxy:
        monkeypatch.setenv(
            name.format(scheme if "_proxy" in name else scheme.upper()), proxy.url.replace("//", "//me:pass@")
        )
        assert arrived(client_of(backend, url, monkeypatch), server) == (True, True)
        place = url.partition("://")[2]
        if scheme == "https":
            asked = [line for line in proxy.asked if "/api/" not in line]  # Prefect's client obeys such variables, too
            assert set(asked) == {f"CONNECT {place}"}
            assert len(asked) >= 2
        else:
            assert f"POST {url}/v1/traces" in proxy.asked
            assert len(proxy.asked) == len(server.requests)


@pytest.mark.parametrize(
    "exceptions", ["127.0.0.1", "127.0.0.0/8", "example.com, 127.0.0.1:{port}", "*", "10.0.0.0/8,127.0.0.1"]
)
@pytest.mark.parametrize("backend", ["phoenix", "arize"])
def test_or_both_past_it(exceptions: str, backend: str, server: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    with ForwardProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exceptions.format(port=server.url.rpartition(":")[2]))
        assert arrived(client_of(backend, server.url, monkeypatch), server) == (True, True)
        assert not proxy.asked


def test_ax_s_own_proxy(server: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    with ForwardProxy() as proxy:
        monkeypatch.setenv("ARIZE_PROXY_URL", proxy.url)
        monkeypatch.setenv("NO_PROXY", "*")
        assert arrived(client_of("arize", server.url, monkeypatch), server) == (True, True)
        assert f"POST {server.url}/v1/traces" in proxy.asked
        assert len(proxy.asked) == len(server.requests)


@pytest.mark.mostly_slow
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_login(
    scheme: str,
    server: FaultProxy,
    front: TlsFront,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with ForwardProxy("me:another") as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy.url.replace("//", f"//me:{SECRET}@"))
        client = client_of("phoenix", front.url if scheme == "https" else server.url, monkeypatch)
        with pytest.raises(InvalidSetting, match=rf"the proxy {proxy.url} does not let us through .*407") as caught:
            client.datasets.list_datasets()
        assert arrived(client, server) == (False, False)
    assert SECRET not in str(caught.value) + caplog.text + repr(client.remote)


def refused(**options: Any) -> str:
    with pytest.raises(InvalidSetting) as caught:
        Client(backend="phoenix", base_url="https://localhost:1", **options)
    assert len(str(caught.value).splitlines()) == 1
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_used_is_refused_before_anything_is_asked(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = authority.certificate("client")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    nowhere = "verify=: no certificates can be read from '/nowhere.pem' (No such file or directory)"
    assert nowhere in refused(verify="/nowhere.pem")
    assert f"verify=: no certificates can be read from {str(empty)!r}" in refused(verify=str(empty))
    assert "client_cert=: no certificate with its key" in refused(client_cert=str(certificate))
    assert "client_cert= and client_key=" in refused(client_cert=str(certificate), client_key=str(empty))
    assert "client_key= goes with client_cert=" in refused(client_key=str(key))
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "OTEL_EXPORTER_OTLP_CERTIFICATE", "PREFECT_EXPERIMENTS_VERIFY"):
        with monkeypatch.context() as patched:
            patched.setenv(name, "/nowhere.pem")
            assert f"{name}: no certificates can be read from '/nowhere.pem'" in refused()
    for proxy in (f"gopher://me:{SECRET}@proxy", f"http://me:{SECRET}@host:port"):
        with monkeypatch.context() as patched:
            patched.setenv("HTTPS_PROXY", proxy)
            assert "HTTPS_PROXY" in refused()
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("HTTPS_PROXY", f"socks5://me:{SECRET}@proxy:1080")
    said = "the proxy socks5://proxy:1080 speaks SOCKS, for which there is no library here: pip install 'httpx[socks]'"
    assert said in refused()


class Plain(Listener):
    """Says what a web server does to what it does not understand."""

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


def test_http_for_https_and_the_other_way_round(
    server: FaultProxy, front: TlsFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Plain() as plain, pytest.raises(InvalidSetting, match=r"it does not speak TLS; is it http://\?"):
        Client(backend="phoenix", base_url=f"https://localhost:{plain.port}").datasets.list_datasets()
    html = {"content-type": "text/html"}
    for page, says in (
        (
            b"<center>The plain HTTP request was sent to HTTPS port</center>",
            r"is it https://\? \(HTTP request was sent to HTTPS port\)",
        ),
        (
            b"<center>No required SSL certificate was sent</center>",
            r"client_cert= and client_key= \(required SSL certificate\)",
        ),
        (b"<center>The SSL certificate error</center>", r"client_cert= and client_key= \(SSL certificate e\)"),
    ):
        server.plan = lambda _, page=page: Answer(400, page, html)  # type: ignore[misc]
        with pytest.raises(InvalidSetting, match=says):
            Client(backend="phoenix", base_url=server.url).datasets.list_datasets()
    with pytest.raises(ExperimentsError) as caught:
        Client(backend="phoenix", base_url=front.url.replace("https:", "http:")).datasets.list_datasets()
    assert len(str(caught.value).splitlines()) == 1


def test_grpc_s_port_for_http_s(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    grpc_server = grpc.server(ThreadPoolExecutor(2))
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    try:
        client = Client(backend="phoenix", base_url=f"http://127.0.0.1:{port}")
        with pytest.raises(InvalidSetting) as caught:
            client.datasets.list_datasets()
        assert "does not speak HTTP: it may be a port for gRPC (Phoenix has that at 4317, and HTTP" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    finally:
        grpc_server.stop(None)
