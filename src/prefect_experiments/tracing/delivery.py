"""One batch of spans to one collector, once: made ready, posted, and what became of it."""

from __future__ import annotations

import gzip
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import httpx
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.network import is_no_http, retry_after, tls_fault
from prefect_experiments.texts import shortened
from prefect_experiments.tracing.destination import TraceExport

if TYPE_CHECKING:
    from opentelemetry.util.types import AnyValue

ATTEMPT_S = 10.0
LONGEST_VALUE = 100_000  # characters of one attribute; the rest is cut off

_NOISY = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")
_COMPRESSION = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")
_HINTS = {401: "is the API key right?", 403: "is the API key right?", 404: "is this the address for traces?"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch.

    Attributes:
        kind: ``failed`` may work later; ``rejected`` never will; ``too_large`` may in smaller parts.
        reason: fit to be shown: no secret, nothing of what the spans hold.
        fault: the collector said that it broke (HTTP 500), so these very spans may be why.
        busy: it takes no more just now (HTTP 429, 503), as Phoenix says when 20,000 spans wait in it.
        retry_after: seconds that it asked to wait, where it did.
    """

    kind: Literal["delivered", "failed", "rejected", "too_large"]
    reason: str = ""
    fault: bool = False
    busy: bool = False
    retry_after: float | None = None


DELIVERED = Outcome("delivered")


class Delivery:
    """Posts batches, in the sender's own thread. One attempt each: trying again is the sender's business."""

    def __init__(self, export: TraceExport) -> None:
        self._export = export
        self._client: httpx.Client | None = None

    def send(self, spans: Sequence[ReadableSpan]) -> Outcome:
        """Post them, each as part of its resource."""
        try:
            content = encode_spans([fitted(span) for span in spans]).SerializePartialToString()
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing of the experiment may depend on it
            return Outcome("rejected", type(error).__name__)
        try:
            return _outcome(self._posted(content))
        except InvalidSetting as error:
            return Outcome("failed", str(error))
        except (httpx.HTTPError, OSError) as error:
            return Outcome("failed", self._reason(error))
        except Exception as error:  # noqa: BLE001 - what guards the network in tests raises what it likes; it may end
            return Outcome("failed", type(error).__name__)

    def _posted(self, content: bytes) -> httpx.Response:
        if self._client is None:
            # A redirected POST would arrive as a GET, and look like a success: none is followed.
            self._client = httpx.Client(timeout=ATTEMPT_S, **self._export.way_there().arguments)
        headers = {**self._export.headers, "Content-Type": "application/x-protobuf"}
        if next(filter(None, map(os.environ.get, _COMPRESSION)), "").strip().lower() == "gzip":
            content, headers["Content-Encoding"] = gzip.compress(content), "gzip"
        try:
            return self._client.post(self._export.endpoint, content=content, headers=headers)
        except httpx.TimeoutException:
            raise
        except (httpx.NetworkError, httpx.RemoteProtocolError):  # one that was kept open may have been closed meanwhile
            return self._client.post(self._export.endpoint, content=content, headers=headers)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def _reason(self, error: Exception) -> str:
        """In our own words: the library's text may hold the address, and a password that may be in it."""
        text, over = str(error), self._export.way_there().over
        if isinstance(error, httpx.TimeoutException):
            return f"no answer within {ATTEMPT_S:g} s{over}"
        if isinstance(error, httpx.ProxyError):
            return f"the proxy does not let us through{over}"
        if fault := tls_fault(error):
            return fault
        if "refused" in text:
            return f"connection refused{over}"
        if any(sign in text for sign in ("getaddrinfo", "resolve", "not known", "No address")):
            return f"there is no host of that name{over}"
        if is_no_http(error):
            return "what answers does not speak HTTP; is this a port for gRPC, or for https://?"
        return "the connection was closed" if isinstance(error, httpx.TransportError) else type(error).__name__


def _outcome(response: httpx.Response) -> Outcome:
    status = response.status_code
    if 200 <= status < 300:
        return DELIVERED
    hint = _HINTS.get(status) or (_HINTS[404] if status < 400 or status == 405 else "")
    reason = f"HTTP {status}" + (f" ({hint})" if hint else "")
    if status == 413:
        return Outcome("too_large", reason)
    if status in {400, 415, 422}:
        return Outcome("rejected", reason)
    asked = retry_after(response.headers.get("retry-after", ""))
    return Outcome("failed", reason, fault=status == 500, busy=status in {429, 503}, retry_after=asked)


def fitted(span: ReadableSpan) -> ReadableSpan:
    """The span with nothing in it that is too long or not Unicode."""
    status = span.status
    return ReadableSpan(
        name=_fit(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_fit_attributes(span.attributes),
        events=[Event(_fit(e.name), _fit_attributes(e.attributes), e.timestamp) for e in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(status.status_code, status.description and _fit(status.description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _fit_attributes(attributes: Mapping[str, AnyValue] | None) -> dict[str, AnyValue]:
    fit = {_fit(name): _fit_value(value) for name, value in (attributes or {}).items()}
    for side in ("input", "output"):
        value = fit.get(f"{side}.value")
        if isinstance(value, str) and value.endswith(_CUT_END) and f"{side}.mime_type" in fit:
            fit[f"{side}.mime_type"] = "text/plain"  # half a JSON text is none
    return fit


def _fit_value(value: AnyValue) -> AnyValue:
    if isinstance(value, str):
        return _fit(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_fit_value(item) for item in value]
    return value


_CUT_END = " characters in all]"


def _fit(text: str) -> str:
    if len(text) > LONGEST_VALUE:
        text = f"{shortened(text, LONGEST_VALUE)} [cut; {len(text)}{_CUT_END}"
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate would spoil the whole batch
    return text


class _NotInOurThreads(logging.Filter):
    """Keeps what the library logs of each request out of the application's log, for our exports only."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the thread decides
        return not getattr(_quiet, "on", False)


_quiet = threading.local()
_filter = _NotInOurThreads()


def keep_quiet_here() -> None:
    """From now on the library's own log records of this thread go nowhere: the sender says what is to be said."""
    _quiet.on = True
    for name in _NOISY:
        logging.getLogger(name).addFilter(_filter)
