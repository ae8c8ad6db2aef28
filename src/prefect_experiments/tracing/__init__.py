"""Spans for experiments: one trace a task run, one an evaluation (OpenTelemetry, OpenInference).

    with ExperimentTracer("project", export=TraceExport("http://host:6006/v1/traces")) as tracer:
        engine = Engine(task, evaluators, sink=sink, tracer=tracer)

Spans that the task makes itself, or an instrumentor makes for it, nest under the run's span when
they are made through OpenTelemetry's global tracer provider. An SDK provider that the application
has set is always listened to; where none is set, ``set_global=True`` makes ours the global one, and
it stays so for as long as the process lives.

Where nobody wants traces, a `UsageCounter` counts tokens and cost alone.

Importing this is cheap; OpenTelemetry's SDK is loaded when a tracer is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect_experiments.tracing.destination import TraceExport

if TYPE_CHECKING:
    from prefect_experiments.tracing.counter import UsageCounter
    from prefect_experiments.tracing.experiment import ExperimentTracer

__all__ = ["ExperimentTracer", "TraceExport", "UsageCounter"]


def __getattr__(name: str) -> Any:
    if name == "ExperimentTracer":
        from prefect_experiments.tracing.experiment import ExperimentTracer

        return ExperimentTracer
    if name == "UsageCounter":
        from prefect_experiments.tracing.counter import UsageCounter

        return UsageCounter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
