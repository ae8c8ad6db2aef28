"""Where Arize AX is and how to get in: parameters first, then the environment that AX's own client reads.

Names, defaults and what excludes what are those of the official package `arize` 8.61, with one difference: a host
that is passed in the code wins over one from the environment, whichever variable that is in.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from prefect_experiments.backends.base import AsText, Env
from prefect_experiments.backends.http import Address
from prefect_experiments.backends.network_settings import NO, YES, NetworkSettings
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.network import Way
from prefect_experiments.options import Must
from prefect_experiments.settings import Settings

API_HOST, OTLP_HOST = "api.arize.com", "otlp.arize.com"
REGIONS = ("ca-central-1a", "eu-west-1a", "us-central-1a", "us-east-1b")
LARGEST_BODY_MB = 8.0


class ArizeSettings(NetworkSettings):
    """Which Arize AX, how to get in, and what to work in."""

    api_key: Annotated[SecretStr | None, Field(repr=False), Env("ARIZE_API_KEY")] = None
    """the API key."""
    space: Annotated[str | None, Env("ARIZE_SPACE_ID")] = None
    """id or name of the space to work in."""
    api_host: Annotated[str | None, Env("ARIZE_API_HOST")] = None
    """where the API is, such as api.eu-west-1a.arize.com."""
    api_port: Annotated[
        int | None, Field(ge=0, le=65535), Must("be a whole number from 0 to 65535"), Env("ARIZE_API_PORT")
    ] = None
    """the port, where it is not the usual one."""
    api_scheme: Annotated[str | None, Env("ARIZE_API_SCHEME")] = None
    """the scheme, http or https."""
    base_url: Annotated[str | None, AsText] = None
    """host, port and scheme of the API in one, such as http://localhost:8080."""
    traces: Annotated[bool | None, Env("PREFECT_EXPERIMENTS_ARIZE_TRACES")] = None
    """whether the spans of experiments go to AX's collector."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything that is needed to talk to one AX.

    Attributes:
        api: its REST API.
        otlp_url: its collector, such as ``https://otlp.arize.com``.
        space: id or name of the space to work in; ``None`` where it was not said.
        api_key: for the collector; the API has it in its headers.
        largest_body: bytes that one request should hold at most.
        settings: what has been given.
    """

    api: Address
    otlp_url: str
    space: str | None
    api_key: SecretStr = field(repr=False)
    largest_body: int
    settings: ArizeSettings = field(repr=False)

    def way_to_collector(self) -> Way:
        """The way to the collector.

        Raises:
            InvalidSetting: a certificate or a proxy that cannot be used.
        """
        return _way_to(self.settings, self.otlp_url)


def arize_connection(settings: ArizeSettings) -> Connection:
    """The connection. ``ARIZE_REGION`` and its kin stand for the host where none is given in the code.

    Raises:
        InvalidSetting: no key, or something that cannot be used.
    """
    key = _key(settings)
    if settings.base_url is not None:
        if (settings.api_host, settings.api_port, settings.api_scheme) != (None, None, None):
            raise InvalidSetting("pass base_url= or api_host=, api_port= and api_scheme=, not both")
        api_url = settings.base_url.strip().rstrip("/")
    else:
        api_url = _api_url(settings)
    api = Address(
        service="Arize AX",
        base_url=api_url,
        headers={"Authorization": f"Bearer {key.get_secret_value()}"},
        timeout=Settings().backend_timeout,
        key_setting="ARIZE_API_KEY or api_key=",
        url_setting="ARIZE_API_HOST or api_host=",
    )
    return Connection(
        api=replace(api, way=_way_to(settings, api_url)),
        otlp_url=_otlp_url(),
        space=(settings.space or settings.from_environment("space")).strip() or None,
        api_key=key,
        largest_body=int(_number("ARIZE_MAX_HTTP_PAYLOAD_SIZE_MB", LARGEST_BODY_MB, 1) * 1024 * 1024),
        settings=settings,
    )


def _way_to(settings: ArizeSettings, url: str) -> Way:
    """As ``ARIZE_REQUEST_VERIFY``, ``ARIZE_SSL_CA_CERT`` and ``ARIZE_PROXY_URL`` say, else as for every backend."""
    verify: bool | str | None = os.environ.get("ARIZE_SSL_CA_CERT", "").strip() or None
    if os.environ.get("ARIZE_REQUEST_VERIFY", "true").strip().lower() not in YES:
        verify = False
    proxy = os.environ.get("ARIZE_PROXY_URL", "").strip()
    return settings.way_to(url, verify=verify, verified_by="ARIZE_SSL_CA_CERT", proxy=proxy)


def sends_traces(settings: ArizeSettings) -> bool:
    """Whether the spans of experiments go to AX's collector; by default not.

    Raises:
        InvalidSetting: the environment says neither yes nor no.
    """
    text = settings.from_environment("traces").strip().lower()
    if settings.traces is not None or not text:
        return bool(settings.traces)
    if text not in {*YES, *NO}:
        raise InvalidSetting(f"{settings.variables('traces')[0]} must be true or false, got {text!r:.50}")
    return text in YES


def _key(settings: ArizeSettings) -> SecretStr:
    given = settings.api_key.get_secret_value() if settings.api_key else ""
    text = (given or settings.from_environment("api_key")).strip()
    if not text:
        raise InvalidSetting("Arize AX needs an API key: set ARIZE_API_KEY, or pass api_key=")
    if not text.isascii() or not text.isprintable():
        raise InvalidSetting("Arize AX's api_key holds text that cannot be sent; is there a line end in it?")
    return SecretStr(text)


def _api_url(settings: ArizeSettings) -> str:
    override_host, override_port = _override("api")
    host, port = settings.api_host, settings.api_port
    if host is None:
        host = override_host or settings.from_environment("api_host").strip() or API_HOST
    if port is None:
        port = int(_number("ARIZE_API_PORT", 0, 0, 65535)) or override_port
    scheme = _scheme("ARIZE_API_SCHEME", "api_scheme", settings.api_scheme)
    return _url(scheme, host, port, "ARIZE_API_HOST or api_host=")


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
