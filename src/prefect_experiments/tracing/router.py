"""Which experiment a span belongs to: one span processor for the whole process.

OpenTelemetry has one global tracer provider, which can be set once, while a process may run many
experiments, each with a project of its own. So what tells them apart is the trace a span is in.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider, sampling

from prefect_experiments.tracing.counted_span import CountedSpan
from prefect_experiments.tracing.prices import Prices
from prefect_experiments.tracing.sender import Sender
from prefect_experiments.tracing.usage import CountedCall, Usage, current_call

if TYPE_CHECKING:
    from opentelemetry.util.types import AnyValue

logger = logging.getLogger("prefect_experiments")

# Of an experiment's ended traces so many are still known, for spans that end after their run.
MOST_ENDED = 20_000
# A model's messages take an attribute each: OpenTelemetry's 128 are soon used up, and the oldest go.
MOST_ATTRIBUTES = 10_000


class Listener(Protocol):
    """Takes the spans of a trace."""

    def started(self, span: Span) -> None:
        """A span was started."""

    def ended(self, span: ReadableSpan) -> None:
        """A span has ended."""


class Outlet:
    """Where the spans of one experiment go: its project, by way of a sender."""

    def __init__(self, resource: Resource, sender: Sender) -> None:
        self.sender = sender
        self._resource = resource

    def started(self, span: Span) -> None:
        """Nothing to do."""

    def ended(self, span: ReadableSpan) -> None:
        """Queue a copy that belongs to the experiment's project.

        The span itself stays as it is: the application may have exporters of its own. And it is
        let go of: it is made of many small objects, and those that wait make Python's searches for
        garbage long.
        """
        attributes = cast("MappingProxyType[str, AnyValue]", span.attributes)
        copy = ReadableSpan(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=self._resource,
            attributes=attributes.copy(),
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self.sender.put(copy)


class OpenTrace(CountedCall):
    """The trace of a call that is not finished yet, and what its spans say of tokens and cost."""

    __slots__ = ("_outlet", "id", "span")

    wants_spans = True

    def __init__(self, span: trace.Span, outlet: Outlet | None, prices: Prices) -> None:
        super().__init__(prices)
        self.span = span
        self.id = span.get_span_context().trace_id
        self._outlet = outlet

    def started(self, span: Span) -> None:
        """Note whose child it is."""
        self.figures.started(span.get_span_context().span_id, span.parent and span.parent.span_id)

    def ended(self, span: ReadableSpan) -> None:
        """Note its figures, and pass it on."""
        if span.parent is not None:  # the root's own have been looked at when they were wanted
            _note(self, span)
        if self._outlet is not None:
            self._outlet.ended(span)

    def usage(self) -> Usage:
        """Tokens and cost of the spans that have ended, and of the root span."""
        if isinstance(self.span, ReadableSpan):
            _note(self, self.span)
        return self.figures.usage()


def _note(call: CountedCall, span: ReadableSpan) -> None:
    if (context := span.get_span_context()) is not None:
        failed = span.status.status_code is trace.StatusCode.ERROR
        call.figures.ended(context.span_id, span.attributes, failed=failed)


class Router(SpanProcessor):
    """Hands each span to whom its trace belongs to; all others (Prefect's, the application's) are left alone."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._ended: deque[int] = deque()
        # Spans that are only counted are in traces of the application's own: by span, the call that made it.
        self._counted: weakref.WeakValueDictionary[int, CountedCall] = weakref.WeakValueDictionary()

    def open(self, opened: OpenTrace) -> None:
        """Listen to a trace."""
        self._listeners[opened.id] = opened

    def close(self, opened: OpenTrace, outlet: Outlet | None) -> None:
        """A call has finished; spans that end later are still passed on, where they go anywhere."""
        if outlet is None:
            self._listeners.pop(opened.id, None)
            return
        self._listeners[opened.id] = outlet
        self._ended.append(opened.id)
        if len(self._ended) > MOST_ENDED:
            self._listeners.pop(self._ended.popleft(), None)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """A span was started, by whatever provider."""
        listener = self._listeners.get(span.get_span_context().trace_id)
        if listener is not None:
            listener.started(span)
        elif (call := current_call.get()) is not None and not isinstance(call, OpenTrace):
            number = span.get_span_context().span_id
            self._counted[number] = call
            above = trace.get_current_span(parent_context)
            parent = above.number if isinstance(above, CountedSpan) else span.parent and span.parent.span_id
            call.figures.started(number, parent)

    def on_end(self, span: ReadableSpan) -> None:
        """A span has ended, in whatever thread."""
        context = span.get_span_context()
        listener = self._listeners.get(context.trace_id) if context else None
        if listener is not None:
            listener.ended(span)
        elif context is not None and (call := self._counted.pop(context.span_id, None)) is not None:
            _note(call, span)

    # `shutdown` and `force_flush` do nothing: code that flushes its provider after each request would
    # otherwise make the calls of an experiment wait for the collector.


router = Router()
_lock = threading.Lock()
_provider: TracerProvider | None = None
_joined: weakref.WeakSet[TracerProvider] = weakref.WeakSet()


def own_provider() -> TracerProvider:
    """Our tracer provider, one for the process. It makes the root spans."""
    global _provider
    with _lock:
        if _provider is None:
            _provider = TracerProvider(
                sampler=sampling.DEFAULT_ON,  # an experiment's traces are whole, whatever OTEL_TRACES_SAMPLER says
                span_limits=SpanLimits(max_span_attributes=MOST_ATTRIBUTES),
                shutdown_on_exit=False,
            )
            _provider.add_span_processor(router)
        return _provider


def join_global(set_global: bool) -> trace.TracerProvider:
    """Listen to the global tracer provider; with `set_global`, make it ours where none is set.

    Returns:
        The global provider there is now.
    """
    own = own_provider()
    with _lock:
        if set_global and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(own)
        current = trace.get_tracer_provider()
        if current is own or isinstance(current, trace.ProxyTracerProvider) or current in _joined:
            return current
        if isinstance(current, TracerProvider):
            # Not its own method: Phoenix's provider throws out its exporter when one is added.
            TracerProvider.add_span_processor(current, router)
        elif hasattr(current, "add_span_processor"):  # a wrapper around one, such as Logfire's
            cast("Any", current).add_span_processor(router)
        else:
            if set_global:
                logger.warning(
                    "set_global_tracer_provider: the application has set a tracer provider (%s) that takes no span "
                    "processors, so spans that the task makes will not be in the experiment's traces.",
                    type(current).__qualname__,
                )
            return current
        _joined.add(cast("TracerProvider", current))
        return current
