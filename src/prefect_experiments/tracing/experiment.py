"""The tracer of one experiment: what the engine calls."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType, TracebackType
from typing import Any, Generic, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context, attach
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.util.types import AttributeValue

from prefect_experiments.engine import EvaluationItem, RunItem, TraceFigures
from prefect_experiments.engine.calls import Target
from prefect_experiments.engine.outcomes import CallResult
from prefect_experiments.engine.traces import UNTRACED
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.records import EvaluationRecord
from prefect_experiments.tasks import Fields, Task
from prefect_experiments.tracing import attributes as about
from prefect_experiments.tracing.destination import TraceExport
from prefect_experiments.tracing.prices import Prices
from prefect_experiments.tracing.router import OpenTrace, Outlet, join_global, own_provider, router
from prefect_experiments.tracing.sender import sender_for
from prefect_experiments.tracing.usage import current_call

logger = logging.getLogger("prefect_experiments")

EMPTY = Context()  # what makes a span a root, whatever span is current
OK = Status(StatusCode.OK)
UNFINISHED = "Unfinished: the experiment ended before this call did"

T = TypeVar("T", bound=Target)


class ExperimentTracer:
    """Traces the calls of one experiment: one root span a task run, and one an evaluation.

    Enter it where the experiment runs: the span that is current there (a Prefect flow's or task's)
    is what the root spans link to; it is never above them. Leaving it does not wait for the
    collector. Spans are sent from a thread in the background and, at the process's end, for at
    most 10 seconds more.

    With no `export` nothing is sent; experiment runs have their trace ids, and the figures of what
    spans there are, all the same.

    Args:
        project_name: the project that the traces go to.
        export: where they are sent; ``None`` for nowhere.
        metadata: on every root span: ``experiment_id``, ``dataset_id`` and the like.
        attributes: further attributes of every root span, such as ``prefect.flow_run.id``.
        set_global: make our tracer provider OpenTelemetry's global one where none is set, so that
            the task's own spans and those of instrumentors nest under the run's. It cannot be unset.
        prices: what calls cost whose spans do not say it.
    """

    def __init__(
        self,
        project_name: str,
        *,
        export: TraceExport | None = None,
        metadata: Mapping[str, Any] = MappingProxyType({}),
        attributes: Mapping[str, AttributeValue] = MappingProxyType({}),
        set_global: bool = False,
        prices: Prices | None = None,
    ) -> None:
        self.project_name = project_name
        self.prices = Prices() if prices is None else prices
        self.metadata = about.Metadata(metadata)
        self.attributes = dict(attributes)
        self._outlet = None if export is None else Outlet(_resource(project_name), sender_for(export))
        self._set_global = set_global
        self._otel = own_provider().get_tracer("prefect_experiments")
        self._ids = own_provider().id_generator
        self._links: list[Link] = []
        self._global: trace.TracerProvider | None = None
        self._targets: list[_Traced[Any]] = []
        self._warned = False
        self.entered = False

    def __enter__(self) -> ExperimentTracer:
        current = trace.get_current_span().get_span_context()
        self._links = [Link(current)] if current.is_valid else []
        self._join()
        if self._outlet is not None:
            self._outlet.sender.speak_in(contextvars.copy_context())
        self.entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.entered = False
        for target in self._targets:
            target.abandon()

    def task(self, task: Task) -> TracedTask:
        """The task, each of its runs a trace."""
        traced = TracedTask(self, task, f"Task: {task.name}", "CHAIN")
        self._targets.append(traced)
        return traced

    def evaluator(self, evaluator: BoundEvaluator) -> TracedEvaluator:
        """The evaluator, each of its evaluations a trace of its own."""
        traced = TracedEvaluator(self, evaluator, f"Evaluation: {evaluator.name}", "EVALUATOR")
        self._targets.append(traced)
        return traced

    def hold(self) -> AbstractContextManager[None]:
        """While entered, spans wait unless more than 20,000 do: sent beside results, they slow those down.

        It holds for all experiments that send to the same collector, as long as any of them wants it.
        """
        return contextlib.nullcontext() if self._outlet is None else self._outlet.sender.hold()

    def flush(self, timeout: float = 10.0) -> bool:
        """Send what waits now, held or not.

        Returns:
            Whether nothing of it waits any more.
        """
        return True if self._outlet is None else self._outlet.sender.flush(timeout)

    @property
    def waiting(self) -> int:
        """How many spans are still to be sent to this experiment's collector."""
        return 0 if self._outlet is None else self._outlet.sender.waiting

    def begin(self, name: str, start: float | None) -> OpenTrace | None:
        """A new trace; ``None`` where none can be made. Never raises."""
        try:
            if trace.get_tracer_provider() is not self._global:  # the task's own module may just have set one
                self._join()
            opened = OpenTrace(self._root(name, start), self._outlet, self.prices)
        except Exception as error:  # noqa: BLE001 - span processors of the application's may raise anything
            self._cannot("begun", error)
            return None
        router.open(opened)
        return opened

    def _join(self) -> None:
        self._global = join_global(self._set_global)

    def _root(self, name: str, start: float | None) -> trace.Span:
        if self._outlet is not None or self._global is own_provider():
            began = None if start is None else int(start * 1e9)
            return self._otel.start_span(name, context=EMPTY, links=self._links, start_time=began)
        # Nobody will ever see this span. Its ids, and being current, are all that is wanted of it.
        ids = self._ids.generate_trace_id(), self._ids.generate_span_id()
        return NonRecordingSpan(SpanContext(*ids, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)))

    def end(self, opened: OpenTrace, attributes: about.Attributes, result: CallResult, error: str | None) -> None:
        """End a trace. Never raises."""
        span = opened.span
        try:
            if isinstance(span, Span) and span.is_recording():
                ended = max(int(result.end * 1e9), span.start_time or 0)
                span.set_attributes(attributes)
                if error is None:
                    span.set_status(OK)
                else:
                    span.add_event("exception", about.of_error(error, result.error_type, result.raised), ended)
                    span.set_status(Status(StatusCode.ERROR, error))
                span.end(ended)
        except Exception as raised:  # noqa: BLE001 - as above
            self._cannot("ended", raised)
        router.close(opened, self._outlet)

    def _cannot(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "A trace cannot be %s (%s); the experiment goes on without it. Said once.", what, type(error).__name__
            )


class _Traced(Generic[T]):
    """A task or an evaluator: every call of it runs with its root span as the current one.

    A root span covers all attempts of its run: the first call for some fields begins it, and
    `finish` ends it.
    """

    def __init__(self, tracer: ExperimentTracer, target: T, title: str, kind: str) -> None:
        self.name = target.name
        self.is_async = target.is_async
        self.kind = getattr(target, "kind", "LLM")  # the engine asks it of evaluators
        self._tracer = tracer
        self._target = target
        self._title = title
        self._fixed: about.Attributes = {**tracer.attributes, about.KIND: kind}
        self._open: dict[Fields, OpenTrace] = {}
        self._given_up: set[Fields] = set()

    def call(self, fields: Fields) -> Any:
        """Call the target inside its trace."""
        opened = self._open.get(fields) or self._begin(fields)
        if opened is not None:
            # Never detached: the call has its context to itself, and what it gives is awaited in there as well.
            attach(set_span_in_context(opened.span))
            current_call.set(opened)
        return self._target.call(fields)

    def _begin(self, fields: Fields, start: float | None = None) -> OpenTrace | None:
        if not self._tracer.entered or fields in self._given_up:
            return None
        opened = self._tracer.begin(self._title, start)
        if opened is not None:
            self._open[fields] = opened
        return opened

    def used(self, fields: Fields) -> TraceFigures:
        """What a call that is under way has used until now."""
        opened = self._open.get(fields)
        return UNTRACED if opened is None else TraceFigures(None, *opened.usage())

    def _taken(self, fields: Fields, result: CallResult) -> OpenTrace | None:
        """The trace of a call that has finished."""
        opened = self._open.pop(fields, None)
        if opened is None and self._begin(fields, result.start) is not None:
            opened = self._open.pop(fields, None)
            self._given_up.add(fields)  # it timed out before a thread came to it: none may begin it again
        return opened

    def abandon(self) -> None:
        """End what is open: the experiment is over, or was stopped."""
        now = time.time()
        cut_off = CallResult(None, UNFINISHED, None, now, now, 1)
        while self._open:
            with contextlib.suppress(KeyError):  # another thread's call has just begun or ended one
                _, opened = self._open.popitem()
                self._tracer.end(opened, self._fixed, cut_off, UNFINISHED)


class TracedTask(_Traced[Task]):
    """A task each of whose runs is a trace."""

    def finish(self, fields: Fields, item: RunItem, output_json: str | None, result: CallResult) -> TraceFigures:
        """End the trace of a run; its id, and the tokens and cost of the spans in it."""
        opened = self._taken(fields, result)
        if opened is None:
            return TraceFigures()
        figures = TraceFigures(_hex(opened), *opened.usage())
        attributes = self._fixed
        if opened.span.is_recording():
            metadata = self._tracer.metadata.of(item, result.attempts)
            attributes = {**attributes, **about.of_run(item, output_json), "metadata": metadata}
        self._tracer.end(opened, attributes, result, result.error)
        return figures


class TracedEvaluator(_Traced[BoundEvaluator]):
    """An evaluator each of whose evaluations is a trace."""

    def finish(
        self, fields: Fields, item: EvaluationItem, rows: Sequence[EvaluationRecord], result: CallResult
    ) -> TraceFigures:
        """End the trace of an evaluation; its id, and the tokens and cost of the spans in it."""
        opened = self._taken(fields, result)
        if opened is None:
            return TraceFigures()
        figures = TraceFigures(_hex(opened), *opened.usage())
        attributes = self._fixed
        if opened.span.is_recording():
            metadata = self._tracer.metadata.of(item.run, result.attempts)
            attributes = {**attributes, **about.of_evaluation(item, rows), "metadata": metadata}
        # An evaluation that is none is an error too, which the call itself knows nothing of.
        self._tracer.end(opened, attributes, result, rows[0].error if rows else result.error)
        return figures


def _hex(opened: OpenTrace) -> str | None:
    return trace.format_trace_id(opened.id) if opened.id else None  # 0: OTEL_SDK_DISABLED


def _resource(project_name: str) -> Resource:
    resource = Resource.create({"openinference.project.name": project_name})
    if str(resource.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "prefect-experiments"}))
    return resource
