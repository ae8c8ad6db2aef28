"""Where Phoenix is and how to get in: parameters first, then the environment its own clients read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import unquote

import httpx
from pydantic import Field, SecretStr

from prefect_experiments.backends.base import AsText, BackendSettings, Env
from prefect_experiments.backends.http import Address
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.settings import Settings

DEFAULT_URL = "http://localhost:6006"
_OTLP_PATH = "/v1/traces"


class PhoenixSettings(BackendSettings):
    """Where a Phoenix is and how to get in."""

    base_url: Annotated[str | None, AsText, Env("PHOENIX_BASE_URL", "PHOENIX_COLLECTOR_ENDPOINT")] = None
    """where Phoenix is, such as http://localhost:6006."""
    api_key: Annotated[SecretStr | None, Field(repr=False), Env("PHOENIX_API_KEY")] = None
    """the API key, where Phoenix asks for one."""
    headers: Annotated[Mapping[str, str] | None, Field(repr=False), Env("PHOENIX_CLIENT_HEADERS")] = None
    """further HTTP headers by name, such as those of a proxy."""


def phoenix_address(settings: PhoenixSettings) -> Address:
    """The address, the key and the headers.

    The address ends with or without ``/v1/traces``, as collectors' do; the key is sent as ``Authorization: Bearer``.

    Raises:
        InvalidSetting: a URL, key or header that cannot be used.
    """
    url = settings.base_url or settings.from_environment("base_url") or DEFAULT_URL
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    key = key or settings.from_environment("api_key")
    given = settings.headers
    sent = _parse_headers(settings.from_environment("headers")) if given is None else dict(given)
    if key and not any(name.lower() == "authorization" for name in sent):
        sent["Authorization"] = f"Bearer {key}"
    try:
        httpx.Headers(sent).raw  # noqa: B018 - text that no header can hold is found here, and not shown
        encoded = all(value.isprintable() for value in sent.values())
    except UnicodeEncodeError:
        encoded = False
    if not encoded:
        raise InvalidSetting("Phoenix's api_key or headers hold text that cannot be sent; is there a line end in them?")
    return Address(
        service="Phoenix",
        base_url=url.strip().rstrip("/").removesuffix(_OTLP_PATH).rstrip("/"),
        headers=sent,
        timeout=Settings().backend_timeout,
        key_setting="PHOENIX_API_KEY or api_key=",
        url_setting="PHOENIX_BASE_URL or base_url=",
        version_header="x-phoenix-server-version",
    )


def _parse_headers(text: str) -> dict[str, str]:
    """``name=value,name2=value2``, percent-encoded as W3C's baggage is; names in lower case."""
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, separator, value = part.partition("=")
        if not separator or not name.strip():
            raise InvalidSetting("PHOENIX_CLIENT_HEADERS must be name=value pairs with commas between them")
        found[unquote(name).strip().lower()] = unquote(value).strip()
    return found
