"""Where Phoenix is and how to get in: parameters first, then the environment its own clients read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import unquote

import httpx
from pydantic import SecretStr

from prefect_experiments.backends.http import Address
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.settings import Settings

DEFAULT_URL = "http://localhost:6006"
_OTLP_PATH = "/v1/traces"


def phoenix_address(
    base_url: str | None = None,
    api_key: str | SecretStr | None = None,
    headers: Mapping[str, str] | None = None,
) -> Address:
    """The address, the key and the headers.

    Args:
        base_url: default ``PHOENIX_BASE_URL``, else ``PHOENIX_COLLECTOR_ENDPOINT`` (with or without
            ``/v1/traces``), else ``http://localhost:6006``.
        api_key: default ``PHOENIX_API_KEY``; sent as ``Authorization: Bearer``.
        headers: further ones; default ``PHOENIX_CLIENT_HEADERS``, such as ``name=value,name2=value2``.

    Raises:
        InvalidSetting: a URL, key or header that cannot be used.
    """
    url = base_url or os.environ.get("PHOENIX_BASE_URL") or os.environ.get("PHOENIX_COLLECTOR_ENDPOINT") or DEFAULT_URL
    key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
    key = key or os.environ.get("PHOENIX_API_KEY")
    sent = dict(headers) if headers is not None else _parse_headers(os.environ.get("PHOENIX_CLIENT_HEADERS", ""))
    if key and not any(name.lower() == "authorization" for name in sent):
        sent["Authorization"] = f"Bearer {key}"
    try:
        httpx.Headers(sent).raw  # noqa: B018 - text that no header can hold is found here, and not shown
        encoded = all(value.isprintable() for value in sent.values())
    except (UnicodeEncodeError, AttributeError, TypeError):
        encoded = False
    if not encoded:
        raise InvalidSetting("Phoenix's api_key or headers hold text that cannot be sent; is there a line end in them?")
    return Address(
        service="Phoenix",
        base_url=str(url).strip().rstrip("/").removesuffix(_OTLP_PATH).rstrip("/"),
        headers=sent,
        timeout=Settings().backend_timeout,
        key_setting="PHOENIX_API_KEY or api_key=",
        url_setting="PHOENIX_BASE_URL or base_url=",
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
