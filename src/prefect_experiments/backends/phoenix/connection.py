"""Where Phoenix is and how to get in: parameters first, then the environment its own client reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import httpx
from pydantic import Field, SecretStr

from prefect_experiments.backends.base import AsText, Env
from prefect_experiments.backends.http import Address
from prefect_experiments.backends.network_settings import NetworkSettings
from prefect_experiments.backends.phoenix import environment
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.settings import Settings

DEFAULT_URL = "http://localhost:6006"
_OTLP_PATH = "/v1/traces"


class PhoenixSettings(NetworkSettings):
    """Where a Phoenix is and how to get in."""

    base_url: Annotated[str | None, AsText, Env(*environment.ADDRESSES)] = None
    """where Phoenix is, such as http://localhost:6006."""
    api_key: Annotated[SecretStr | None, Field(repr=False), Env(environment.KEY)] = None
    """the API key, where Phoenix asks for one."""
    headers: Annotated[Mapping[str, str] | None, Field(repr=False), Env(environment.HEADERS)] = None
    """further HTTP headers by name, such as those of a proxy."""


def phoenix_address(settings: PhoenixSettings) -> Address:
    """The address, the key and the headers.

    The address ends with or without ``/v1/traces``, as collectors' do; the key is sent as ``Authorization: Bearer``.

    Raises:
        InvalidSetting: a URL, key, header, certificate or proxy that cannot be used.
    """
    place = None if settings.base_url else environment.phoenix_place()
    url = (settings.base_url or (place.url if place else DEFAULT_URL)).strip().rstrip("/")
    url = url.removesuffix(_OTLP_PATH).rstrip("/")
    named_by = place.named_by if place else environment.ENDPOINT
    address = Address(
        service="Phoenix",
        base_url=url,
        headers=_headers(settings),
        timeout=Settings().backend_timeout,
        key_setting="PHOENIX_API_KEY or api_key=",
        url_setting=f"{named_by} or base_url=",
        version_header="x-phoenix-server-version",
        grpc="Phoenix has that at 4317, and HTTP at 6006",
    )
    return replace(address, way=settings.way_to(url))


def _headers(settings: PhoenixSettings) -> dict[str, str]:
    """Those that were given, then those of the environment; a key that was given goes before all of them."""
    sent = dict(settings.headers or {})
    names = {name.lower() for name in sent}
    sent |= {name: value for name, value in environment.phoenix_headers().items() if name not in names}
    given = settings.api_key.get_secret_value() if settings.api_key else ""
    if given:
        sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
    key = given or environment.phoenix_key()
    if key and not any(name.lower() == "authorization" for name in sent):
        sent["Authorization"] = f"Bearer {key}"
    try:
        httpx.Headers(sent).raw  # noqa: B018 - text that no header can hold is found here, and not shown
        encoded = all(value.isprintable() for value in sent.values())
    except UnicodeEncodeError:
        encoded = False
    if not encoded:
        raise InvalidSetting("Phoenix's api_key or headers hold text that cannot be sent; is there a line end in them?")
    return sent
