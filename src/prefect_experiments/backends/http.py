"""HTTP to a backend: one connection pool, bounded waiting, errors by their meaning. No secrets in texts.

An answer is one of four things: what was asked for; a refusal (`BackendRefused`, `NotFound`,
`AlreadyExists`), which the same request will get again; trouble that passes
(`BackendUnavailable`); or a sign that the address, the key or the server is the wrong one
(`InvalidSetting`).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import ssl
import time
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from prefect_experiments.backends.patience import ASKED_PATIENCE_S, Patience, asks_too_much
from prefect_experiments.errors import (
    AlreadyExists,
    BackendRefused,
    BackendUnavailable,
    ExperimentsError,
    InvalidInput,
    InvalidSetting,
    NotFound,
    unusable_connection,
)
from prefect_experiments.network import PROXY_HELP, Way, is_no_http, origin, retry_after, tls_fault, way_to
from prefect_experiments.texts import shortened

CONNECT_TIMEOUT_S = 5.0
SAID_AFTER_S = 1.0
AT_ONCE = 16
# Servers close connections that nobody uses, uvicorn after 5 s; a request must not meet that.
KEPT_ALIVE_S = 2.5
CLOSED_AFTER_S = 5.0
_SAID_AT_MOST = 300
_PASSES = frozenset({408, 425, 429})
_REFUSALS = frozenset({400, 404, 409, 413, 422})  # of what was sent; other 4xx are about whoever sends it

logger = logging.getLogger("prefect_experiments")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a backend is and how to get in.

    Attributes:
        service: what people call it, such as ``Phoenix``.
        base_url: without a slash at its end.
        headers: sent with each request; they hold the key, so they are not shown.
        timeout: seconds that an answer may take.
        key_setting: what to set when the key is refused.
        url_setting: what to set when the address is wrong.
        version_header: the header of an answer that says which version the server is, where it has one.
        grpc: where it speaks gRPC, where people take that for this address.
        way: how it is reached; by default as the environment says.
    """

    service: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 30.0
    key_setting: str = "api_key="
    url_setting: str = "base_url="
    version_header: str = ""
    grpc: str = ""
    way: Way | None = None

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.base_url)
        except (httpx.InvalidURL, TypeError):
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            raise InvalidSetting(
                f"{self.service}'s address must be a URL such as http://localhost:6006, got "
                f"{_without_secrets(str(self.base_url))!r:.100}; set {self.url_setting}"
            )
        if url.userinfo or url.query or url.fragment:
            raise InvalidSetting(
                f"{self.service}'s address must hold no user, password or parameters, but the place alone: "
                f"{origin(str(url))}; give the key with {self.key_setting}"
            )

    def __str__(self) -> str:
        return f"{self.service} at {self.base_url}"


class Http:
    """Requests to one address. An event loop that uses it gets a connection pool of its own."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._way = address.way or way_to(address.base_url)
        self._away_since: float | None = None  # as far as that was said
        self._pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = weakref.WeakKeyDictionary()

    def _pool(self) -> _Pool:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None or pool.client.is_closed:
            pool = self._pools[loop] = _Pool(self._client(), loop)
        return pool

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.address.base_url,
            headers={"Accept": "application/json", **self.address.headers},
            timeout=httpx.Timeout(None, connect=min(CONNECT_TIMEOUT_S, self.address.timeout)),
            limits=httpx.Limits(
                max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=KEPT_ALIVE_S
            ),
            **self._way.arguments,
        )

    async def get(self, path: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> Any:
        """The JSON that is there; trouble that passes is tried again."""
        return await self.patiently("GET", path, params=params, timeout=timeout)

    async def patiently(self, method: str, path: str, **arguments: Any) -> Any:
        """A request that may be made twice: trouble that passes is tried again, as `Patience` has it.

        Raises:
            BackendUnavailable: it did not pass.
        """
        patience, began = Patience(), time.monotonic()
        while True:
            try:
                answer = await self.once(method, path, **arguments)
            except BackendUnavailable as error:
                pause = patience.pause(error)
                if asks_too_much(error):
                    raise BackendUnavailable(
                        f"{error}; it asks to be left alone for {error.retry_after:.0f} s, which is longer than it is "
                        "waited for; try again then",
                        retry_after=error.retry_after,
                    ) from None
                if pause is None:
                    raise
                if time.monotonic() - began + pause >= SAID_AFTER_S:
                    self._say_away(began, error)
            else:
                self._say_back()
                return answer
            await asyncio.sleep(pause)

    def _say_away(self, since: float, error: BackendUnavailable) -> None:
        """Say that a request is waited for, once until the next answer."""
        if self._away_since is None:
            self._away_since = since
            why = str(error).removeprefix(f"{self.address} ")
            seconds = "" if error.retry_after is None else f", up to {ASKED_PATIENCE_S:.0f} s"
            logger.warning("%s is busy or away (%s): waiting for it%s.", self.address, why, seconds)

    def _say_back(self) -> None:
        since, self._away_since = self._away_since, None
        if since is not None:
            logger.warning("%s answers again after %.0f s.", self.address.service, time.monotonic() - since)

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
            InvalidInput: what is to be sent is not Unicode.
        """
        pool, headers = self._pool(), {} if json is None else {"Content-Type": "application/json"}
        try:
            content = None if json is None else orjson.dumps(json)
            request = pool.client.build_request(method, path, params=params, content=content, headers=headers)
        except (TypeError, UnicodeEncodeError) as error:
            raise InvalidInput(f"{self.address} cannot be sent what is no JSON or no Unicode: {error}") from None
        seconds = timeout or self.address.timeout
        try:
            async with pool.turn() as client, asyncio.timeout(seconds):
                response = await client.send(request)
        except TimeoutError:
            raise self._unreachable(httpx.ReadTimeout(f"{seconds:g} s")) from None
        except (httpx.RequestError, ssl.SSLError) as error:
            raise self._unreachable(error) from None
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
        status, said = response.status_code, self._said(response)
        if status in (401, 403):
            return unusable_connection(
                f"{self.address} refused the key (HTTP {status}); set {self.address.key_setting} to one that has "
                "the right to do this"
            )
        if status in _PASSES or status >= 500:
            return BackendUnavailable(
                f"{self.address} answered HTTP {status}{f': {said}' if said else ''}",
                retry_after=retry_after(response.headers.get("retry-after", "")),
            )
        if status == 407:
            return unusable_connection(
                f"{self.address}: the proxy {self._way.proxy} does not let us through (HTTP 407); {PROXY_HELP}"
            )
        if status == 400 and (fault := tls_fault(response.text)):  # a web server's, before it
            return unusable_connection(f"{self.address}: {fault}")
        if status == 413:
            return BackendRefused(f"{self.address} refused the request as too large (HTTP 413)")
        if response.has_redirect_location:
            return unusable_connection(
                f"{self.address} sends on to {origin(response.headers['location'])}; "
                f"set {self.address.url_setting} to the address itself"
            )
        if status not in _REFUSALS or said in ("", "Not Found"):
            return self._foreign(response)
        if status == 404:
            return NotFound(f"{self.address}: {said}")
        if status == 409:
            return AlreadyExists(f"{self.address}: {said}")
        return BackendRefused(f"{self.address} refused the request (HTTP {status}): {said}")

    def _foreign(self, response: httpx.Response) -> InvalidSetting:
        """The error for an answer that the service, in a version that knows the path, would not give."""
        path = f"{response.request.method} {response.request.url.path}"
        version = response.headers.get(self.address.version_header)  # of this answer: a proxy's page has none
        if version is not None and response.status_code in (404, 405):
            return unusable_connection(
                f"{self.address} is version {version:.40}, which has no {path}; upgrade {self.address.service}"
            )
        return unusable_connection(
            f"what answers at {self.address.base_url} is not {self.address.service}: {path} gave HTTP "
            f"{response.status_code} and {response.headers.get('content-type', 'no content')!r:.60}; "
            f"set {self.address.url_setting}"
        )

    def _unreachable(self, error: httpx.RequestError | ssl.SSLError) -> ExperimentsError:
        text = self._without_key(" ".join(str(error).split()))
        if isinstance(error, httpx.ReadTimeout):
            return BackendUnavailable(f"{self.address} did not answer within {error}")
        if isinstance(error, httpx.LocalProtocolError):  # whose text is the header
            return unusable_connection(f"{self.address.service}'s key or headers hold text that HTTP cannot carry")
        if wrong := self._wrong_way(error, text):
            return unusable_connection(wrong)
        why = f"{type(error).__name__}: {text:.120}" if text else type(error).__name__
        return BackendUnavailable(
            f"{self.address} does not answer{self._way.over} ({why}); is it running, and is "
            f"{self.address.url_setting} right?"
        )

    def _wrong_way(self, error: httpx.RequestError | ssl.SSLError, text: str) -> str:
        """What is wrong with how it is reached, where no waiting will help."""
        if isinstance(error, httpx.ProxyError):
            return f"{self.address}: the proxy {self._way.proxy} does not let us through ({text:.120}); {PROXY_HELP}"
        if fault := tls_fault(error):
            return f"{self.address}: {fault}"
        if not is_no_http(error):
            return ""
        grpc = f" ({self.address.grpc})" if self.address.grpc else ""
        return (
            f"what answers at {self.address.base_url} does not speak HTTP: it may be a port for gRPC{grpc}, or one for "
            f"https://; set {self.address.url_setting}"
        )

    def _said(self, response: httpx.Response) -> str:
        """What the server says about a failure, on one line; web pages say nothing."""
        if "html" in response.headers.get("content-type", ""):
            return ""
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            text = response.text
        else:
            text = _detail(answer)
        return shortened(self._without_key(" ".join(text.split())), _SAID_AT_MOST)

    def _without_key(self, text: str) -> str:
        """A text that others have written, without what our headers hold: some servers repeat it."""
        for value in self.address.headers.values():
            for part in {value, value.rpartition(" ")[2]}:
                if len(part) > 3:
                    text = text.replace(part, "***")
        return text


class _Pool:
    """The connections of one event loop.

    They are closed when nobody has used them for a while, and when the loop ends: `asyncio.run`
    cancels what is left in it. So nobody has to.
    """

    def __init__(self, client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self._turns = asyncio.Semaphore(AT_ONCE)  # waiting for a turn is not waiting for an answer
        self._users = 0
        self._used_at = time.monotonic()
        self._keeper = loop.create_task(self._keep(), context=contextvars.Context())

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[httpx.AsyncClient]:
        """The client, for one request."""
        self._users += 1
        try:
            async with self._turns:
                yield self.client
        finally:
            self._users -= 1
            self._used_at = time.monotonic()

    async def _keep(self) -> None:
        try:
            while self._users or time.monotonic() - self._used_at < CLOSED_AFTER_S:  # noqa: ASYNC110 - one look in 5 s
                await asyncio.sleep(CLOSED_AFTER_S)
        finally:
            await self.client.aclose()


def _detail(answer: Any) -> str:
    """What an error's JSON says: never the values that it says it of."""
    if isinstance(answer, dict):
        return next(filter(None, (_detail(answer.get(name)) for name in ("detail", "title", "message", "error"))), "")
    if isinstance(answer, list):
        return "; ".join(filter(None, map(_complaint, answer)))
    return answer if isinstance(answer, str) else ""


def _complaint(one: Any) -> str:
    """One of pydantic's: where, and what is wrong there."""
    if not isinstance(one, dict):
        return one if isinstance(one, str) else ""
    place = ".".join(str(part) for part in one.get("loc") or ())
    return f"{place}: {one.get('msg', one.get('type', ''))}".removeprefix(": ")


def _without_secrets(url: str) -> str:
    """An address that may be none at all, without user, password and parameters."""
    return re.sub(r"^(\w+://)?.*@", r"\1***@", re.split(r"[?#]", url, maxsplit=1)[0])
