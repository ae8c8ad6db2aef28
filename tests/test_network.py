"""The way to an address: which proxy the environment has for it, which files are trusted, what is wrong with a page."""

from __future__ import annotations

import email.utils
import os
import ssl
import time
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.network import is_no_http, origin, proxy_for, retry_after, tls_fault, way_to

URL = "https://ax.example.com:8443/v1"
SAID = [
    f"{name}_PROXY" for name in ("HTTP", "HTTPS", "ALL", "NO")
] + ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] + [
    f"OTEL_EXPORTER_OTLP_{name}" for name in ("CERTIFICATE", "TRACES_CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY",
                                              "TRACES_CLIENT_CERTIFICATE", "TRACES_CLIENT_KEY")
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SAID:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, URL, None),
        ({"HTTPS_PROXY": "http://p:3128"}, URL, "http://p:3128"),
        ({"HTTPS_PROXY": "p:3128"}, URL, "http://p:3128"),
        ({"HTTPS_PROXY": "https://me:secret@p"}, URL, "https://me:secret@p"),
        ({"HTTP_PROXY": "http://p:3128"}, URL, None),
        ({"HTTP_PROXY": "http://p:3128"}, "http://x", "http://p:3128"),
        ({"ALL_PROXY": "http://a", "HTTPS_PROXY": "http://p"}, URL, "http://p"),
        ({"ALL_PROXY": "http://a", "HTTPS_PROXY": "http://p"}, "http://x", "http://a"),
        ({"ALL_PROXY": "http://a"}, "no address", None),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "*"}, URL, None),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "example.com"}, URL, None),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "other.com, ax.example.com"}, URL, None),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "ax.example.com:8443"}, "https://me@ax.example.com:8443/", None),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "ax.example.com:1"}, URL, "http://a"),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "10.0.0.0/8"}, "http://10.1.2.3:6006", None),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "x, 10.0.0.1/8 "}, "http://10.1.2.3:6006", None),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "11.0.0.0/8"}, "http://10.1.2.3:6006", "http://a"),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "[fd00::]/8,fd00::/8"}, "http://[fd00::1]:6006", None),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "10.0.0.0/8"}, URL, "http://a"),
    ],
)
def test_the_proxy_for_an_address(
    environment: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy
    if proxy and "//me" not in proxy:
        way = way_to(url)
        assert (way.proxy, way.over) == (proxy, f" over the proxy {proxy}")


def test_a_way_shows_no_password() -> None:
    way = way_to(URL, proxy="http://me:secret@p:3128")
    assert (way.proxy, way.over) == ("http://p:3128", " over the proxy http://p:3128")
    assert "secret" not in repr(way)
    direct = way_to(URL)
    assert (direct.proxy, direct.over, direct.arguments["proxy"]) == ("", "", None)
    assert direct.arguments["trust_env"] is False


def authorities(context: Any) -> int:
    return int(context.cert_store_stats()["x509_ca"])


def test_which_authorities_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of `verify` alone, else all that are named, else the usual ones."""
    bundle = Path(certifi.where()).read_text()
    ends = [place for place in range(len(bundle)) if bundle.startswith("-----END CERTIFICATE-----", place)][:3]
    files = []
    for number, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
        files.append(tmp_path / f"{number}.pem")
        files[-1].write_text(bundle[bundle.index("-----BEGIN", begin) : end] + "-----END CERTIFICATE-----\n")
    usual = authorities(way_to(URL).arguments["verify"])
    assert usual > 50
    assert authorities(way_to(URL, verify=True).arguments["verify"]) == usual
    assert authorities(way_to(URL, verify=str(files[0])).arguments["verify"]) == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    assert authorities(way_to(URL).arguments["verify"]) == 1
    monkeypatch.setenv("CURL_CA_BUNDLE", f" {files[1]} ")
    assert authorities(way_to(URL).arguments["verify"]) == 2
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(files[2]))
    assert authorities(way_to(URL).arguments["verify"]) == 3
    assert authorities(way_to(URL, verify=str(files[0])).arguments["verify"]) == 1
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.delenv("CURL_CA_BUNDLE")
    assert authorities(way_to(URL).arguments["verify"]) == usual, "beside the usual ones"
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}{os.pathsep}{os.pathsep}{tmp_path}")
    assert authorities(way_to(URL).arguments["verify"]) == 1, "a folder is looked into when it is needed"
    for verify, mode in ((False, ssl.CERT_NONE), (None, ssl.CERT_REQUIRED)):
        context = way_to(URL, verify=verify).arguments["verify"]
        assert (context.verify_mode, context.check_hostname) == (mode, verify is None)


def refused(**options: Any) -> str:
    with pytest.raises(InvalidSetting) as caught:
        way_to(URL, **options)
    return str(caught.value)


def test_a_file_that_cannot_be_used_is_named_with_what_has_named_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = str(tmp_path / "empty.pem")
    Path(empty).write_text("nothing")
    gone = "No such file or directory"
    assert refused(verify="/nowhere.pem") == f"verify=: no certificates can be read from '/nowhere.pem' ({gone})"
    assert refused(verify=empty, verified_by="PREFECT_EXPERIMENTS_VERIFY") == (
        f"PREFECT_EXPERIMENTS_VERIFY: no certificates can be read from {empty!r} (NO_CERTIFICATE_OR_CRL_FOUND)"
    )
    pem = "no certificate with its key, unencrypted and as PEM, can be read from"
    assert refused(client_cert="/nowhere.pem") == f"client_cert=: {pem} '/nowhere.pem' ({gone})"
    assert refused(client_cert=empty, client_key="/nowhere.pem").startswith(
        f"client_cert= and client_key=: {pem} {empty!r} and '/nowhere.pem' ("
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere.key")
    assert refused(client_cert="/nowhere.pem") == f"client_cert=: {pem} '/nowhere.pem' ({gone})"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere.pem")
    assert refused() == (
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY: "
        f"{pem} '/nowhere.pem' and '/nowhere.key' ({gone})"
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    assert refused() == f"REQUESTS_CA_BUNDLE: no certificates can be read from '/nowhere.pem' ({gone})"


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("gopher://me:secret@p", "'gopher://p'"),
        ("http://me:secret@host:port", "'http://host:port'"),
        ("http://[me:secret@p", "'?'"),
    ],
)
def test_a_proxy_that_is_none(proxy: str, shown: str) -> None:
    assert refused(proxy=proxy) == (
        f"the proxy {shown} cannot be used: it must be a URL such as http://proxy.example.com:3128; is what "
        "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY says right?"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "https://ax.example.com:8443"),
        ("http://me:secret@h:1/x?y", "http://h:1"),
        ("me:secret@h/x", "h/x"),
        ("http://[", "?"),
        ("", ""),
    ],
)
def test_where_an_address_leads(url: str, shown: str) -> None:
    assert origin(url) == shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("1.5", 1.5), ("-3", 0.0), ("inf", None), ("nan", None), ("soon", None), ("", None),
        (email.utils.formatdate(0, usegmt=True), 0.0), ("Wed, 21 Oct 99999999999999 07:28:00 GMT", None),
    ],
)  # fmt: skip
def test_how_long_a_server_asks_to_be_left_alone(text: str, seconds: float | None) -> None:
    assert retry_after(text) == seconds
    later = retry_after(email.utils.formatdate(time.time() + 1800, usegmt=True))
    assert later is not None
    assert 1000 < later <= 1800


def behind(depth: int, text: str) -> BaseException:
    error: BaseException = OSError(text)
    for _ in range(depth):
        above = RuntimeError("above")
        above.__cause__ = error
        error = above
    return error


MUTUAL = "it wants a certificate of this side that it knows (mutual TLS); set client_cert= and client_key="


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        ("<html>400 No required SSL certificate was sent</html>", f"{MUTUAL} (required SSL certificate)"),
        (OSError("[SSL: WRONG_VERSION_NUMBER]"), "it does not speak TLS; is it http://? (WRONG_VERSION_NUMBER)"),
        ("The plain HTTP request was sent to HTTPS port", "it speaks TLS; is it https://? (HTTP request was sent "
         "to HTTPS port)"),
        (behind(3, "CERTIFICATE_VERIFY_FAILED"), "its certificate is not trusted; set SSL_CERT_FILE or verify= to the "
         "file with its authority's (CERTIFICATE_VERIFY_FAILED)"),
        (behind(9, "BAD_CERTIFICATE"), f"{MUTUAL} (BAD_CERTIFICATE)"),
        (behind(10, "BAD_CERTIFICATE"), ""),
        (OSError("BAD_CERTIFICATE WRONG_VERSION_NUMBER"), f"{MUTUAL} (BAD_CERTIFICATE)"),
        (OSError("no  required\nSSL   certificate"), f"{MUTUAL} (required SSL certificate)"),
        (OSError("reset by peer"), ""),
        ("", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_tls_connection(error: BaseException | str, fault: str) -> None:
    assert tls_fault(error) == fault


def test_what_speaks_something_else() -> None:
    assert is_no_http(httpx.RemoteProtocolError("illegal status line"))
    assert not is_no_http(httpx.RemoteProtocolError("server disconnected"))
    assert not is_no_http(httpx.ConnectError("illegal"))
