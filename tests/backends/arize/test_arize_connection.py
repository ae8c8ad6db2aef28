"""Where AX is and how to get in, as the official client finds it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.backends.arize.connection import ArizeSettings, Connection, arize_connection
from prefect_experiments.errors import BackendUnavailable, InvalidSetting, NotFound
from support.arize import KEY, Official, OfficialError, StandIn

from .conftest import ours

THEIRS = """
import os
kept = dict(os.environ)
os.environ.update(env)
try:
    from arize.config import SDKConfiguration
    made = SDKConfiguration(**options)
    result = [made.api_url, made.otlp_url, made.max_http_payload_size_mb]
finally:
    os.environ.clear()
    os.environ.update(kept)
"""


def connection(**options: Any) -> Connection:
    return arize_connection(ArizeSettings(**options))


PLACES: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({}, {}),
    ({"ARIZE_API_HOST": "ax.example.com", "ARIZE_API_PORT": "8443"}, {}),
    ({"ARIZE_API_HOST": "ax.example.com:9000"}, {"api_port": 8443}),
    ({"ARIZE_API_HOST": "ax.example.com:9000", "ARIZE_API_SCHEME": "HTTP"}, {}),
    ({"ARIZE_API_HOST": "elsewhere.example.com"}, {"api_host": "ax.example.com/", "api_scheme": "http"}),
    ({"ARIZE_REGION": "eu-west-1a"}, {}),
    ({"ARIZE_REGION": "us-east-1b", "ARIZE_API_PORT": "444"}, {}),
    ({"ARIZE_SINGLE_HOST": "one.example.com"}, {}),
    ({"ARIZE_SINGLE_HOST": "one.example.com", "ARIZE_SINGLE_PORT": "8080"}, {}),
    ({"ARIZE_SINGLE_PORT": "8080", "ARIZE_API_PORT": "9090"}, {}),
    ({"ARIZE_BASE_DOMAIN": "example.com"}, {}),
    ({"ARIZE_OTLP_HOST": "otlp.example.com", "ARIZE_OTLP_PORT": "4318", "ARIZE_OTLP_SCHEME": "http"}, {}),
    ({"ARIZE_MAX_HTTP_PAYLOAD_SIZE_MB": "2.5"}, {}),
]


@pytest.mark.parametrize(("env", "options"), PLACES)
def test_it_is_where_the_official_client_looks(
    env: dict[str, str], options: dict[str, Any], official: Official, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    theirs = official(THEIRS, env=env, options={"api_key": "k", **options})
    found = connection(api_key="k", **options)
    assert [found.api.base_url, f"{found.otlp_url}/v1", found.largest_body / 2**20] == theirs


REFUSED: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({"ARIZE_REGION": "mars-1"}, {}, "ARIZE_REGION: unknown region 'mars-1'"),
    ({"ARIZE_REGION": "eu-west-1a", "ARIZE_SINGLE_HOST": "x"}, {}, "exclude each other"),
    ({"ARIZE_BASE_DOMAIN": "example.com", "ARIZE_SINGLE_PORT": "8080"}, {}, "exclude each other"),
    ({"ARIZE_API_PORT": "many"}, {}, "ARIZE_API_PORT must be a number from 0 to 65535, got 'many'"),
    ({"ARIZE_API_PORT": "70000"}, {}, "from 0 to 65535"),
    ({"ARIZE_API_SCHEME": "ftp"}, {}, "'http' or 'https', got 'ftp'"),
]


@pytest.mark.parametrize(("env", "options", "text"), REFUSED)
def test_what_the_official_client_refuses_is_refused(
    env: dict[str, str], options: dict[str, Any], text: str, official: Official, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OfficialError):
        official(THEIRS, env=env, options={"api_key": "k", **options})
    with pytest.raises(InvalidSetting, match=text):
        connection(api_key="k", **options)


def test_further_places_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match=r"AX's host must be a name such as api.arize.com, got 'https://"):
        connection(api_key="k", api_host="https://api.arize.com")
    with pytest.raises(
        InvalidSetting, match=r"Arize AX's host 'ax.example.com:many' has a port that is none; set ARIZE"
    ):
        connection(api_key="k", api_host="ax.example.com:many")
    with pytest.raises(InvalidSetting, match=r"pass base_url= or api_host=, api_port= and api_scheme=, not both"):
        connection(api_key="k", base_url="http://localhost:1", api_port=1)
    with pytest.raises(InvalidSetting, match="Arize AX's api_key holds text that cannot be sent; is there a line end"):
        connection(api_key="k\nx")
    with pytest.raises(InvalidSetting, match="set ARIZE_API_KEY, or pass api_key="):
        Client(backend="arize")
    with pytest.raises(InvalidSetting, match="takes no headers"):
        Client(backend="arize", api_key="k", headers={"a": "b"})
    with pytest.raises(InvalidSetting, match="takes no space"):
        Client(backend="phoenix", space="x")
    # What is said in the code wins, also over what would take the place of every host.
    monkeypatch.setenv("ARIZE_REGION", "eu-west-1a")
    assert connection(api_key="k", api_host="ax.example.com").api.base_url == "https://ax.example.com"


def test_from_the_environment(arize: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PREFECT_EXPERIMENTS_BACKEND": "arize",
        "ARIZE_API_KEY": KEY,
        "ARIZE_SPACE_ID": arize.space_id(),
        "ARIZE_API_HOST": arize.host,
        "ARIZE_API_PORT": str(arize.port),
        "ARIZE_API_SCHEME": "http",
    }.items():
        monkeypatch.setenv(name, value)
    client = Client()
    assert client.backend == "arize"
    client.datasets.create_dataset(name="sums", examples=[{"input": "1+1", "output": "2"}])
    (request,) = arize.requests("/v2/datasets$", "POST")
    assert request["headers"]["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(client.remote)
    assert KEY not in repr(connection(api_key=KEY))


def test_a_key_that_is_refused_and_a_place_that_is_another(arize: StandIn) -> None:
    with pytest.raises(InvalidSetting, match=r"refused the key \(HTTP 401\); set ARIZE_API_KEY or api_key="):
        ours(arize, api_key="another").datasets.list_datasets()
    with pytest.raises(InvalidSetting, match=r"is not Arize AX.*ARIZE_API_HOST"):
        Client(backend="arize", api_key=KEY, base_url=f"{arize.url}/elsewhere").datasets.list_datasets()
    with pytest.raises(BackendUnavailable, match="does not answer"):
        ours(arize, api_port=1).datasets.list_datasets()


def test_over_a_proxy(arize: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARIZE_PROXY_URL", arize.url)
    client = ours(arize, api_host="ax.example.com", api_port=None)
    client.datasets.create_dataset(name="sums", examples=[{"input": "1+1", "output": "2"}])
    (request,) = arize.requests("/v2/datasets$", "POST")
    assert request["target"] == "http://ax.example.com/v2/datasets"
    monkeypatch.setenv("ARIZE_PROXY_URL", "nowhere://x")
    with pytest.raises(InvalidSetting, match="the proxy 'nowhere://x' cannot be used"):
        ours(arize, api_host="ax.example.com").datasets.list_datasets()


def test_certificates(arize: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(
        ["openssl", "req", "-x509", *made, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as plain, context.wrap_socket(plain, server_side=True) as server:
        threading.Thread(target=_answer_each, args=(server,), daemon=True).start()
        client = ours(arize, api_host="localhost", api_port=server.getsockname()[1], api_scheme="https")
        with pytest.raises(InvalidSetting, match="certificate is not trusted"):
            client.datasets.list_datasets()
        for name, value in {"ARIZE_SSL_CA_CERT": str(certificate), "ARIZE_REQUEST_VERIFY": "false"}.items():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(name, value)
                again = ours(arize, api_host="localhost", api_port=server.getsockname()[1], api_scheme="https")
                assert len(again.datasets.list_datasets()) == 0
    monkeypatch.setenv("ARIZE_SSL_CA_CERT", str(key) + "x")
    with pytest.raises(InvalidSetting, match="ARIZE_SSL_CA_CERT: no certificates can be read"):
        ours(arize).datasets.list_datasets()


def _answer_each(server: Any) -> None:
    body = b'{"datasets": [], "spaces": [{"id": "x", "name": "default"}], "pagination": {"has_more": false}}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    while True:
        try:
            connection, _ = server.accept()
        except ssl.SSLError:
            continue  # it does not trust us
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(head % len(body) + body)


def test_spaces(arize: StandIn) -> None:
    rows = [{"input": "1+1", "output": "2"}]
    with pytest.raises(NotFound, match="unknown space 'defualt'; did you mean 'default'"):
        ours(arize, space="defualt").datasets.create_dataset(name="sums", examples=rows)
    with pytest.raises(NotFound, match=r"space .* not found"):
        ours(arize, space="U3BhY2U6OTk6eA==").datasets.create_dataset(name="sums", examples=rows)
    # The only space there is need not be named; of two, one must be.
    mine = ours(arize, space=None).datasets.create_dataset(name="sums", examples=rows)
    other = arize.add_space("other")
    with pytest.raises(InvalidSetting, match=r"which space.*'default', 'other'"):
        ours(arize, space=None).datasets.create_dataset(name="more", examples=rows)
    theirs = ours(arize, space="other").datasets.create_dataset(name="sums", examples=rows)
    assert ours(arize, space="default").datasets.get_dataset(name="sums").id == mine.id
    assert ours(arize, space=other).datasets.get_dataset(name="sums").id == theirs.id
    with pytest.raises(NotFound, match=rf"2 datasets are called 'sums'.*{mine.id}"):
        ours(arize, space=None).datasets.get_dataset(name="sums")
    assert ours(arize, space=None).datasets.get_dataset(dataset=theirs.id).id == theirs.id
    third = arize.add_space("other")
    with pytest.raises(NotFound, match=rf"2 spaces are called 'other'.*{third}"):
        ours(arize, space="other").datasets.list_datasets()
    remote = ours(arize, space="default").remote
    assert remote is not None
    assert [info.id for info in remote.in_space(other).datasets.page(limit=10, cursor=None)[0]] == [theirs.id]
