"""HTTP to a backend: one connection pool, bounded waiting, errors by their meaning. No secrets in texts.

An answer is one of four things: what was asked for; a refusal (`BackendRefused`, `NotFound`,
`AlreadyExists`), which the same request will get again; trouble that passes
(`BackendUnavailable`); or a sign that the address, the key or the server is the wrong one
(`InvalidSetting`).
"""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from prefect_experiments.errors import (
    AlreadyExists,
    BackendRefused,
    BackendUnavailable,
    ExperimentsError,
    InvalidSetting,
    NotFound,
)

CONNECT_TIMEOUT_S = 5.0
ATTEMPTS = 3
LONGEST_RETRY_AFTER_S = 60.0
_SAID_AT_MOST = 300
_PASSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_backoff = wait_exponential_jitter(initial=0.3, max=10)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a backend is and how to get in.

    Attributes:
        service: what people call it, such as ``Phoenix``.
        base_url: without a slash at its end.
        headers: sent with each request; they hold the key, so they are not shown.
        key_setting: what to set when the key is refused.
        url_setting: what to set when the address is wrong.
    """

    service: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 30.0
    key_setting: str = "api_key="
    url_setting: str = "base_url="

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.base_url)
        except (httpx.InvalidURL, TypeError):
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            raise InvalidSetting(
                f"{self.service}'s address must be a URL such as http://localhost:6006, got {self.base_url!r:.100}; "
                f"set {self.url_setting}"
            )
        if url.userinfo:
            raise InvalidSetting(
                f"{self.service}'s address must not hold a user or a password; give the key with {self.key_setting}"
            )

    def __str__(self) -> str:
        return f"{self.service} at {self.base_url}"


class Http:
    """Requests to one address. An event loop that uses it gets a connection pool of its own."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.version: str | None = None  # what the server says that it is
        self._version_header = "x-phoenix-server-version"
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
            weakref.WeakKeyDictionary()
        )

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            timeout = httpx.Timeout(self.address.timeout, connect=min(CONNECT_TIMEOUT_S, self.address.timeout))
            client = self._clients[loop] = httpx.AsyncClient(
                base_url=self.address.base_url,
                headers={"Accept": "application/json", **self.address.headers},
                timeout=timeout,
                limits=httpx.Limits(max_connections=16, max_keepalive_connections=16),
            )
        return client

    @asynccontextmanager
    async def kept_open(self) -> AsyncIterator[None]:
        """Close the running loop's connections when this is left; for loops that end before the process does."""
        try:
            yield
        finally:
            client = self._clients.pop(asyncio.get_running_loop(), None)
            if client is not None:
                await client.aclose()

    async def get(self, path: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> Any:
        """The JSON that is there; trouble that passes is tried again."""
        return await self.patiently("GET", path, params=params, timeout=timeout)

    async def patiently(self, method: str, path: str, **arguments: Any) -> Any:
        """A request that may be made twice: trouble that passes is tried again, three times in all.

        Raises:
            BackendUnavailable: it did not pass.
        """
        tries = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            retry=retry_if_exception_type(BackendUnavailable),
            reraise=True,
        )
        return await tries(self.once, method, path, **arguments)

    async def once(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        timeout: float | None = None,
    ) -> Any:
        """One request; the JSON of its answer, ``None`` for an empty one.

        Raises:
            NotFound: 404.
            AlreadyExists: 409.
            BackendRefused: another answer that says no to what was sent.
            BackendUnavailable: no answer, or one that may be another next time.
            InvalidSetting: the key is refused, or the server is not what it should be.
        """
        arguments: dict[str, Any] = {"params": params}
        if json is not None:
            arguments["content"] = orjson.dumps(json)
            arguments["headers"] = {"Content-Type": "application/json"}
        if timeout is not None:
            arguments["timeout"] = httpx.Timeout(timeout, connect=CONNECT_TIMEOUT_S)
        try:
            response = await self._client().request(method, path, **arguments)
        except httpx.TransportError as error:
            raise self._unreachable(error) from None
        self.version = response.headers.get(self._version_header, self.version)
        if response.is_success:
            return self._content(response)
        raise self._named(response)

    def _content(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise self._foreign(response) from None

    def _named(self, response: httpx.Response) -> ExperimentsError:
        status, said = response.status_code, _said(response)
        if status in (401, 403):
            return InvalidSetting(
                f"{self.address} refused the key (HTTP {status}); set {self.address.key_setting} to one that has "
                "the right to do this"
            )
        if status == 405 or (status == 404 and said in ("", "Not Found")):
            return self._foreign(response)
        if status == 404:
            return NotFound(f"{self.address}: {said}")
        if status == 409:
            return AlreadyExists(f"{self.address}: {said}")
        if status in _PASSES or status > 500:
            return BackendUnavailable(
                f"{self.address} answered HTTP {status}{f': {said}' if said else ''}",
                retry_after=_retry_after(response),
            )
        if 300 <= status < 400:
            return InvalidSetting(
                f"{self.address} sends on to {_origin(response.headers.get('location', '?'))}; "
                f"set {self.address.url_setting} to the address itself"
            )
        return BackendRefused(f"{self.address} refused the request (HTTP {status}): {said}")

    def _foreign(self, response: httpx.Response) -> InvalidSetting:
        """The error for an answer that the service, in a version that knows the path, would not give."""
        path = f"{response.request.method} {response.request.url.path}"
        if self.version is not None:
            return InvalidSetting(
                f"{self.address} is version {self.version}, which has no {path}; upgrade {self.address.service}"
            )
        return InvalidSetting(
            f"what answers at {self.address.base_url} is not {self.address.service}: {path} gave HTTP "
            f"{response.status_code} and {response.headers.get('content-type', 'no content')!r:.60}; "
            f"set {self.address.url_setting}"
        )

    def _unreachable(self, error: httpx.TransportError) -> ExperimentsError:
        if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error):
            return InvalidSetting(f"{self.address}: its certificate is not trusted ({error!s:.200})")
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
            return BackendUnavailable(f"{self.address} did not answer within {self.address.timeout:g} s")
        return BackendUnavailable(
            f"{self.address} does not answer ({_why(error)}); is it running, and is {self.address.url_setting} right?"
        )


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, BackendUnavailable) else None
    return max(_backoff(state), min(asked or 0.0, LONGEST_RETRY_AFTER_S))


def _why(error: httpx.TransportError) -> str:
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {text:.120}" if text else type(error).__name__


def _said(response: httpx.Response) -> str:
    """What the server says about a failure, on one line; web pages say nothing."""
    if "html" in response.headers.get("content-type", ""):
        return ""
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        text = response.text
    else:
        detail = answer.get("detail", answer.get("title", answer)) if isinstance(answer, dict) else answer
        text = detail if isinstance(detail, str) else orjson.dumps(detail).decode()
    return " ".join(text.split())[:_SAID_AT_MOST]


def _origin(location: str) -> str:
    """Where a redirect leads, without what else is in it: logins put secrets there."""
    try:
        url = httpx.URL(location)
    except httpx.InvalidURL:
        return "?"
    return f"{url.scheme}://{url.host}" if url.host else url.path


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds from ``Retry-After``, which is a number or a date."""
    text = response.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
