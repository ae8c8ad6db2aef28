"""Our sender of spans beside OpenTelemetry's own BatchSpanProcessor, where a collector is not at its best.

usage: python tests/benchmarks/trace_senders.py [SPANS]

Both get the same spans, as fast as they are made, and as much time. What arrives of them is counted.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from prefect_experiments.tracing.destination import TraceExport
from prefect_experiments.tracing.sender import Sender
from support.collector import Collector

PATIENCE_S = 40.0


class Kept(SpanProcessor):
    """Keeps spans."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def spans(count: int) -> Sequence[ReadableSpan]:
    kept = Kept()
    provider = TracerProvider()
    provider.add_span_processor(kept)
    for number in range(count):
        with provider.get_tracer("bench").start_as_current_span("task", attributes={"input.value": str(number)}):
            pass
    return kept.spans


def ours(collector: Collector) -> tuple[Callable[[ReadableSpan], None], Callable[[], object]]:
    sender = Sender(TraceExport(collector.endpoint))
    return sender.put, lambda: sender.flush(PATIENCE_S)


def theirs(collector: Collector) -> tuple[Callable[[ReadableSpan], None], Callable[[], object]]:
    processor = BatchSpanProcessor(OTLPSpanExporter(collector.endpoint), schedule_delay_millis=1000)
    return processor.on_end, lambda: processor.force_flush(int(PATIENCE_S * 1000))


def nothing(_: Collector) -> None:
    """The collector is well."""


def one_refused(collector: Collector) -> None:
    """It answers 400 to a request that has one span in it."""
    collector.judge = lambda spans: 400 if any(span.attributes["input.value"] == "13" for span in spans) else 200


def small_bodies(collector: Collector) -> None:
    """It answers 413 to more than 200 spans at once."""
    collector.judge = lambda spans: 413 if len(spans) > 200 else 200


def away(collector: Collector) -> None:
    """It is away for the first 15 seconds."""
    collector.stop()
    threading.Timer(15, collector.start).start()


def measured(made: Sequence[ReadableSpan], sender: Callable[..., object], trouble: Callable[..., None]) -> str:
    with Collector() as collector:
        put, flush = sender(collector)  # type: ignore[misc]
        trouble(collector)
        began = time.thread_time()
        for span in made:
            put(span)
        cost = (time.thread_time() - began) / len(made)
        began = time.monotonic()
        while len(collector.spans) < len(made) - 1 and time.monotonic() - began < PATIENCE_S:
            flush()
            time.sleep(0.5)
        return f"{len(collector.spans):6,} of {len(made):,} arrived, {cost * 1e6:5.1f} us a span where it ends"


def main() -> None:
    logging.disable(logging.CRITICAL)
    made = spans(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
    for trouble in (nothing, one_refused, small_bodies, away):
        for name, sender in (("ours", ours), ("the SDK's", theirs)):
            print(f"{trouble.__doc__:52} {name:10} {measured(made, sender, trouble)}", flush=True)


if __name__ == "__main__":
    main()
