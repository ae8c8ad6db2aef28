"""Where Arize AX is and how to get in: parameters first, then the environment that AX's own client reads.

Names, defaults and what excludes what are those of the official package `arize` 8.61, with one difference: a host
that is passed in the code wins over one from the environment, whichever variable that is in.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from prefect_experiments.backends.http import Address
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.settings import Settings

API_HOST, OTLP_HOST = "api.arize.com", "otlp.arize.com"
REGIONS = ("ca-central-1a", "eu-west-1a", "us-central-1a", "us-east-1b")
LARGEST_BODY_MB = 8.0
_YES = {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything that is needed to talk to one AX.

    Attributes:
        api: its REST API.
        otlp_url: its collector, such as ``https://otlp.arize.com``.
        space: id or name of the space to work in; ``None`` where it was not said.
        api_key: for the collector; the API has it in its headers.
        largest_body: bytes that one request should hold at most.
        verify: how the server's certificate is checked; ``None`` for as usual.
        proxy: ``None`` for what the usual variables say.
    """

    api: Address
    otlp_url: str
    space: str | None
    api_key: SecretStr = field(repr=False)
    largest_body: int
    verify: ssl.SSLContext | bool | None = None
    proxy: str | None = field(default=None, repr=False)


def arize_connection(
    *,
    api_key: str | SecretStr | None = None,
    space: str | None = None,
    api_host: str | None = None,
    api_port: int | None = None,
    api_scheme: str | None = None,
    base_url: str | None = None,
) -> Connection:
    """The connection.

    Args:
        api_key: default ``ARIZE_API_KEY``.
        space: id or name; default ``ARIZE_SPACE_ID``.
        api_host: default ``ARIZE_API_HOST``, else ``api.arize.com``. ``ARIZE_REGION``, ``ARIZE_SINGLE_HOST`` with
            ``ARIZE_SINGLE_PORT``, or ``ARIZE_BASE_DOMAIN``, of which one may be set, take the place of both hosts.
        api_port: default ``ARIZE_API_PORT``, else that of the scheme.
        api_scheme: ``http`` or ``https``; default ``ARIZE_API_SCHEME``, else ``https``.
        base_url: the three in one, such as ``http://localhost:8080``.

    Raises:
        InvalidSetting: no key, or something that cannot be used.
    """
    key = _key(api_key)
    if base_url is not None:
        if api_host is not None or api_port is not None or api_scheme is not None:
            raise InvalidSetting("pass base_url= or api_host=, api_port= and api_scheme=, not both")
        api_url = str(base_url).strip().rstrip("/")
    else:
        api_url = _api_url(api_host, api_port, api_scheme)
    return Connection(
        api=Address(
            service="Arize AX",
            base_url=api_url,
            headers={"Authorization": f"Bearer {key.get_secret_value()}"},
            timeout=Settings().backend_timeout,
            key_setting="ARIZE_API_KEY or api_key=",
            url_setting="ARIZE_API_HOST or api_host=",
        ),
        otlp_url=_otlp_url(),
        space=(space or os.environ.get("ARIZE_SPACE_ID") or "").strip() or None,
        api_key=key,
        largest_body=int(_number("ARIZE_MAX_HTTP_PAYLOAD_SIZE_MB", LARGEST_BODY_MB, 1) * 1024 * 1024),
        verify=_verification(),
        proxy=os.environ.get("ARIZE_PROXY_URL", "").strip() or None,
    )


def _verification() -> ssl.SSLContext | bool | None:
    """As ``ARIZE_REQUEST_VERIFY``, ``ARIZE_SSL_CA_CERT`` and its kin say."""
    if os.environ.get("ARIZE_REQUEST_VERIFY", "true").strip().lower() not in _YES:
        return False
    for name in ("ARIZE_SSL_CA_CERT", "REQUESTS_CA_BUNDLE"):  # SSL_CERT_FILE is read in any case
        if path := os.environ.get(name, "").strip():
            try:
                return ssl.create_default_context(cafile=path)
            except (OSError, ssl.SSLError) as error:
                raise InvalidSetting(f"{name}: no certificates can be read from {path!r:.200} ({error})") from None
    return None


def _key(given: str | SecretStr | None) -> SecretStr:
    text = given.get_secret_value() if isinstance(given, SecretStr) else given
    text = (text or os.environ.get("ARIZE_API_KEY") or "").strip()
    if not text:
        raise InvalidSetting("Arize AX needs an API key: set ARIZE_API_KEY, or pass api_key=")
    if not text.isascii() or not text.isprintable():
        raise InvalidSetting("Arize AX's api_key holds text that cannot be sent; is there a line end in it?")
    return SecretStr(text)


def _api_url(host: str | None, port: int | None, scheme: str | None) -> str:
    override_host, override_port = _override("api")
    if host is None:
        host = override_host or os.environ.get("ARIZE_API_HOST", "").strip() or API_HOST
    if port is None:
        port = int(_number("ARIZE_API_PORT", 0, 0, 65535)) or override_port
    else:
        port = _checked_port("api_port", port)
    return _url(_scheme("ARIZE_API_SCHEME", "api_scheme", scheme), host, port, "ARIZE_API_HOST or api_host=")


def _otlp_url() -> str:
    override_host, override_port = _override("otlp")
    host = override_host or os.environ.get("ARIZE_OTLP_HOST", "").strip() or OTLP_HOST
    port = int(_number("ARIZE_OTLP_PORT", 0, 0, 65535)) or override_port
    return _url(_scheme("ARIZE_OTLP_SCHEME", "", None), host, port, "ARIZE_OTLP_HOST")


def _override(service: str) -> tuple[str, int]:
    """The host and the port that stand for the whole of AX, where one of the variables for that is set."""
    region = os.environ.get("ARIZE_REGION", "").strip()
    host = os.environ.get("ARIZE_SINGLE_HOST", "").strip()
    port = int(_number("ARIZE_SINGLE_PORT", 0, 0, 65535))
    domain = os.environ.get("ARIZE_BASE_DOMAIN", "").strip()
    given = {
        "ARIZE_REGION": region,
        "ARIZE_SINGLE_HOST or ARIZE_SINGLE_PORT": host or port,
        "ARIZE_BASE_DOMAIN": domain,
    }
    if len(named := [name for name, value in given.items() if value]) > 1:
        raise InvalidSetting(f"{' and '.join(named)} exclude each other: set one of them")
    if region:
        if region not in REGIONS:
            raise InvalidSetting(f"ARIZE_REGION: {unknown_value('region', region, list(REGIONS))}")
        return f"{service}.{region}.arize.com", 0
    if domain:
        return f"{service}.{domain}", 0
    return host, port


def _url(scheme: str, host: str, port: int, setting: str) -> str:
    host = host.strip().rstrip("/")
    if not host or "://" in host or "/" in host or "@" in host:
        raise InvalidSetting(f"Arize AX's host must be a name such as {API_HOST}, got {host!r:.100}; set {setting}")
    parts = urlsplit(f"//{host}")
    try:
        inner = parts.port
    except ValueError:
        raise InvalidSetting(f"Arize AX's host {host!r:.100} has a port that is none; set {setting}") from None
    if port and inner is not None:  # a port inside the host gives way, as in the official client
        host = parts.hostname or host
    return f"{scheme}://{host}:{port}" if port else f"{scheme}://{host}"


def _scheme(variable: str, parameter: str, given: str | None) -> str:
    name, value = (parameter, given) if given is not None else (variable, os.environ.get(variable, "https"))
    scheme = str(value).strip().lower()
    if scheme not in ("http", "https"):
        raise InvalidSetting(f"{name} must be 'http' or 'https', got {value!r:.50}")
    return scheme


def _checked_port(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise InvalidSetting(f"{name} must be a whole number from 0 to 65535, got {value!r:.50}")
    return value


def _number(variable: str, default: float, least: float, most: float = float("inf")) -> float:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value <= most or (most == 65535 and value != int(value)):
        limits = f"from {least:g} to {most:g}" if most != float("inf") else f"of at least {least:g}"
        raise InvalidSetting(f"{variable} must be a number {limits}, got {text!r:.50}")
    return value
