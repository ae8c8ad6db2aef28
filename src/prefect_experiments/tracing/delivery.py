"""One batch of spans to one collector, once: made ready, posted, and what became of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from prefect_experiments.tracing.destination import TraceExport

if TYPE_CHECKING:
    from opentelemetry.util.types import AnyValue

ATTEMPT_S = 10.0
LONGEST_VALUE = 100_000  # characters of one attribute; the rest is cut off

_NOISY = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.common._internal",
    "opentelemetry.exporter.otlp.common.http",
    "urllib3.connectionpool",
)
# What HTTP itself needs. Anything else comes from the environment or .netrc, for other collectors.
_OF_HTTP = {
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
}
_HINTS = {401: "is the API key right?", 403: "is the API key right?", 404: "is this the address for traces?"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch.

    Attributes:
        kind: ``failed`` may work later; ``rejected`` never will; ``too_large`` may in smaller parts.
        reason: fit to be shown: no secret, nothing of what the spans hold.
        fault: the collector said that it broke (HTTP 500), so these very spans may be why.
        busy: it takes no more just now (HTTP 429, 503), as Phoenix says when 20,000 spans wait in it.
        retry_after: seconds that it asked to wait.
    """

    kind: Literal["delivered", "failed", "rejected", "too_large"]
    reason: str = ""
    fault: bool = False
    busy: bool = False
    retry_after: float = 0.0


DELIVERED = Outcome("delivered")


class Delivery:
    """Posts batches, in the sender's own thread. One attempt each: trying again is the sender's business."""

    def __init__(self, export: TraceExport) -> None:
        self._export = export
        self._session = _Session(export.headers)
        self._exporter: OTLPSpanExporter | None = None

    def send(self, spans: Sequence[ReadableSpan]) -> Outcome:
        """Post them, each as part of its resource."""
        self._session.outcome = Outcome("rejected", "they cannot be encoded")
        try:
            if self._exporter is None:
                self._exporter = OTLPSpanExporter(
                    endpoint=self._export.endpoint,
                    headers=dict(self._export.headers),
                    timeout=ATTEMPT_S,
                    session=self._session,
                )
            self._exporter.export([fitted(span) for span in spans])
        except _NotDelivered:  # older exporters let it through
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing of the experiment may depend on it
            return Outcome("rejected", type(error).__name__)
        return self._session.outcome

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


class _NotDelivered(Exception):
    """No success. Not one of `requests`' errors: those make the exporter try again by itself, and sleep."""


class _Session(requests.Session):
    """What the exporter posts with: it sends our headers only, and notes what came of it."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.outcome = DELIVERED
        self.auth = _leave  # or an entry in .netrc would replace the key that we were given
        self._allowed = {name.lower() for name in headers} | _OF_HTTP

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        for name in [name for name in request.headers if name.lower() not in self._allowed]:
            del request.headers[name]
        kwargs["allow_redirects"] = False  # a redirected POST arrives as a GET, and looks like a success
        try:
            response = self._sent(request, **kwargs)
        except (requests.RequestException, OSError) as error:
            self.outcome = Outcome("failed", _reason(error))
        else:
            self.outcome = _outcome(response)
            if self.outcome is DELIVERED:
                return response
        raise _NotDelivered

    def _sent(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            return super().send(request, **kwargs)
        except requests.Timeout:
            raise
        except requests.ConnectionError:  # a connection that was kept open may have been closed meanwhile
            return super().send(request, **kwargs)


def _leave(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _outcome(response: requests.Response) -> Outcome:
    status = response.status_code
    if 200 <= status < 300:
        return DELIVERED
    hint = _HINTS.get(status) or (_HINTS[404] if status < 400 or status == 405 else "")
    reason = f"HTTP {status}" + (f" ({hint})" if hint else "")
    if status == 413:
        return Outcome("too_large", reason)
    if status in {400, 415, 422}:
        return Outcome("rejected", reason)
    wait = response.headers.get("Retry-After", "")
    pause = float(wait) if wait.isdecimal() else 0.0
    return Outcome("failed", reason, fault=status == 500, busy=status in {429, 503}, retry_after=pause)


def _reason(error: BaseException) -> str:
    """In our own words: the library's text holds the address, and a password that may be in it."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {ATTEMPT_S:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "no TLS connection (is its certificate trusted here?)"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not let us through"
    text = str(error)
    if "refused" in text:
        return "connection refused"
    if "getaddrinfo" in text or "resolve" in text:
        return "there is no host of that name"
    return "the connection was closed" if isinstance(error, requests.ConnectionError) else type(error).__name__


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
        text = f"{text[:LONGEST_VALUE]}... [cut; {len(text)}{_CUT_END}"
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate would spoil the whole batch
    return text


class _NotInOurThreads(logging.Filter):
    """Keeps what the exporter logs of each failure out of the application's log, for our exports only."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the thread decides
        return not getattr(_quiet, "on", False)


_quiet = threading.local()
_filter = _NotInOurThreads()


def keep_quiet_here() -> None:
    """From now on the exporter's own log records of this thread go nowhere: the sender says what is to be said."""
    _quiet.on = True
    for name in _NOISY:
        logging.getLogger(name).addFilter(_filter)
