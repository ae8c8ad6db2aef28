"""Spans of the task's own, by way of OpenTelemetry's global provider: ours, or the application's."""

import pytest

from .harness import script

# Runs `task` over inputs, evaluates with `judge`, and reports rows and the spans that arrived.
COMMON = """
import asyncio, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.collector import Collector
from prefect_experiments.tracing import ExperimentTracer, TraceExport
from tests.tracing.harness import aexperiment, experiment, tracer_to

async def task(input):
    with trace.get_tracer("user").start_as_current_span("outer"):
        await asyncio.sleep(0.001)
        with trace.get_tracer("user").start_as_current_span("llm", attributes={"llm.token_count.total": 10 + input}):
            pass
    return input

def judge(output):
    with trace.get_tracer("user").start_as_current_span("judge llm", attributes={"llm.token_count.total": 1000}):
        return 1.0

def spans_of(found):
    return [[s.name, s.trace_id, s.parent_id, s.span_id, s.project] for s in found]

def rows_of(sink):
    return [[r.position, r.trace_id, r.token_count] for r in sorted(sink.runs, key=lambda r: r.position)]

def provider_with_memory(cls=TracerProvider, **options):
    exporter = InMemorySpanExporter()
    provider = cls(**options)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter
"""


def nested(found, *, runs=2, project="project"):
    """Each run's spans are one trace, each below the one it was made in."""
    spans = found["spans"]
    assert {span[4] for span in spans} == {project}
    by_id = {span[3]: span for span in spans}
    for position, trace_id, tokens in found["rows"]:
        trace = {span[0]: span for span in spans if span[1] == trace_id}
        assert set(trace) == {"Task: task", "outer", "llm"}
        assert by_id[trace["llm"][2]] is trace["outer"]
        assert by_id[trace["outer"][2]] is trace["Task: task"]
        assert trace["Task: task"][2] == ""
        assert tokens == 10 + position
    judged = [span for span in spans if span[0] == "judge llm"]
    assert sorted(by_id[span[2]][0] for span in judged) == ["Evaluation: judge"] * runs
    assert len(found["rows"]) == runs


def test_ours():
    found = script(
        COMMON
        + """
early = trace.get_tracer("made before there was a provider")
with Collector() as collector:
    tracer = tracer_to(collector, set_global=True)
    sink = experiment(task, range(2), [judge], tracer=tracer)
    early.start_span("nobody's").end()
    trace.get_tracer("application").start_span("nobody's").end()
    tracer.flush(10)
    report(spans=spans_of(collector.spans), rows=rows_of(sink))
"""
    )
    nested(found)
    assert found["stderr"] == ""


@pytest.mark.thorough
def test_ours_with_nothing_sent():
    found = script(
        COMMON
        + """
seen = []
async def task(input):
    with trace.get_tracer("user").start_as_current_span("llm", attributes={"llm.token_count.total": 5}) as span:
        seen.append(f"{span.get_span_context().trace_id:032x}")
sink = experiment(task, range(3), tracer=ExperimentTracer("local", set_global=True), concurrency=1)
report(rows=rows_of(sink), seen=seen)
"""
    )
    assert [[row[1], row[2]] for row in found["rows"]] == [[trace_id, 5] for trace_id in found["seen"]]


@pytest.mark.thorough
def test_once_ours_it_serves_the_experiments_that_follow_and_those_beside():
    found = script(
        COMMON
        + """
async def two(collector):
    tracers = [tracer_to(collector, name, set_global=True) for name in ("one", "two")]
    sinks = await asyncio.gather(*(aexperiment(task, range(5), [judge], tracer=t, concurrency=2) for t in tracers))
    third = tracer_to(collector, "three")
    sinks.append(await aexperiment(task, range(5), [judge], tracer=third))
    third.flush(10)
    return sinks
with Collector() as collector:
    sinks = asyncio.run(two(collector))
    report(spans=spans_of(collector.spans), rows=[rows_of(sink) for sink in sinks])
"""
    )
    assert found["stderr"] == ""
    for project, rows in zip(["one", "two", "three"], found["rows"], strict=True):
        spans = [span for span in found["spans"] if span[4] == project]
        nested({"spans": spans, "rows": rows}, runs=5, project=project)
    assert len(found["spans"]) == 3 * 5 * 5


@pytest.mark.thorough
def test_the_applications_own_provider_is_listened_to_and_its_spans_stay_its_own():
    for flag in (False, True):
        found = script(
            COMMON
            + f"""
from opentelemetry.sdk.resources import Resource
provider, exporter = provider_with_memory(resource=Resource({{"service.name": "shop"}}))
trace.set_tracer_provider(provider)
with Collector() as collector:
    tracer = tracer_to(collector, set_global={flag})
    with trace.get_tracer("prefect").start_as_current_span("flow"):
        sink = experiment(task, range(2), [judge], tracer=tracer)
    again = experiment(task, range(2), tracer=tracer_to(collector, "again"))
    tracer.flush(10)
    spans = spans_of(collector.spans)
    report(
        spans=[s for s in spans if s[4] == "project"],
        again=[s for s in spans if s[4] == "again"],
        rows=rows_of(sink),
        own=[[s.name, dict(s.resource.attributes), dict(s.attributes)] for s in exporter.get_finished_spans()],
        links=[len(s.links) for s in collector.spans if not s.parent_id and s.project == "project"],
    )
"""
        )
        nested(found)
        assert found["links"] == [1] * 4
        assert sorted(span[0] for span in found["again"]) == sorted(["Task: task", "outer", "llm"] * 2)  # none twice
        names = sorted(name for name, _, _ in found["own"])
        assert names == sorted(["flow", "judge llm", "judge llm"] + ["outer", "llm"] * 4)
        for _, resource, attributes in found["own"]:
            assert resource == {"service.name": "shop"}
            assert set(attributes) <= {"llm.token_count.total"}
        assert found["stderr"] == ""


@pytest.mark.thorough
def test_a_provider_that_samples_by_its_parents_follows_ours():
    found = script(
        COMMON
        + """
provider, exporter = provider_with_memory(sampler=sampling.ParentBased(sampling.ALWAYS_OFF))
trace.set_tracer_provider(provider)
sink = experiment(task, range(2), tracer=ExperimentTracer("local"))
report(rows=rows_of(sink), own=[s.name for s in exporter.get_finished_spans()])
"""
    )
    assert [row[2] for row in found["rows"]] == [10, 11]
    assert sorted(found["own"]) == ["llm", "llm", "outer", "outer"]


@pytest.mark.thorough
def test_a_provider_that_the_task_sets_itself_is_listened_to_from_then_on():
    found = script(
        COMMON
        + """
provider, exporter = provider_with_memory()
async def sets(input):
    if input == 0:
        trace.set_tracer_provider(provider)
    return await task(input)
with Collector() as collector:
    tracer = tracer_to(collector)
    sink = experiment(sets, range(3), tracer=tracer, concurrency=1)
    tracer.flush(10)
    report(rows=rows_of(sink), spans=spans_of(collector.spans))
"""
    )
    assert [row[2] for row in found["rows"]][1:] == [11, 12]
    assert sum(span[0] == "llm" for span in found["spans"]) >= 2


@pytest.mark.thorough
def test_a_provider_that_swaps_its_exporter_for_what_is_added_keeps_it():
    """As Phoenix's does (`phoenix.otel.TracerProvider`, which takes 9 seconds to import)."""
    found = script(
        COMMON
        + """
class Swapping(TracerProvider):
    def add_span_processor(self, processor):
        self._active_span_processor._span_processors = ()
        super().add_span_processor(processor)
provider, exporter = provider_with_memory(Swapping)
trace.set_tracer_provider(provider)
with Collector() as collector:
    tracer = tracer_to(collector)
    sink = experiment(task, range(2), [judge], tracer=tracer)
    tracer.flush(10)
    report(spans=spans_of(collector.spans), rows=rows_of(sink), own=[s.name for s in exporter.get_finished_spans()])
"""
    )
    nested(found)
    assert sorted(found["own"]) == sorted(["outer", "llm", "judge llm"] * 2)


@pytest.mark.thorough
def test_a_provider_that_cannot_be_listened_to_is_named_where_it_matters():
    found = script(
        COMMON
        + """
import logging
logging.basicConfig(format="%(message)s")
trace.set_tracer_provider(trace.NoOpTracerProvider())
sink = experiment(task, range(2), tracer=ExperimentTracer("p"))
print("--", file=sys.stderr)
sink = experiment(task, range(2), tracer=ExperimentTracer("p", set_global=True))
report(rows=rows_of(sink))
"""
    )
    before, after = found["stderr"].split("--\n")
    assert "set_global_tracer_provider" not in before
    assert after.strip() == (
        "set_global_tracer_provider: the application has set a tracer provider (NoOpTracerProvider) that takes no span "
        "processors, so spans that the task makes will not be in the experiment's traces."
    )
    assert all(len(row[1]) == 32 and row[2] is None for row in found["rows"])


@pytest.mark.thorough
def test_a_span_processor_of_the_applications_that_breaks_costs_the_run_nothing():
    found = script(
        COMMON
        + """
from opentelemetry.sdk.trace import SpanProcessor
class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise RuntimeError("mine")
tracer = ExperimentTracer("p", set_global=True)
with tracer:
    trace.get_tracer_provider().add_span_processor(Broken())
sink = experiment(lambda given: given, range(3), [judge], tracer=ExperimentTracer("p"))
report(outputs=sink.outputs(), errors=[r.error for r in sink.evaluations])
"""
    )
    assert found["outputs"] == [0, 1, 2]
    assert len(found["errors"]) == 3


@pytest.mark.thorough
def test_with_telemetry_disabled_nothing_is_sent():
    found = script(
        COMMON
        + """
with Collector() as collector:
    tracer = tracer_to(collector, set_global=True)
    sink = experiment(task, range(2), [judge], tracer=tracer)
    report(flushed=tracer.flush(10), requests=len(collector.requests), rows=rows_of(sink), outputs=sink.outputs())
""",
        OTEL_SDK_DISABLED="true",
    )
    assert (found["flushed"], found["requests"], found["outputs"]) == (True, 0, [0, 1])
    assert found["rows"] == [[0, None, None], [1, None, None]]


@pytest.mark.thorough
def test_a_forked_child_can_go_on_making_spans():
    found = script(
        COMMON
        + """
import os, threading
def forks(input):
    pid = os.fork()
    if pid == 0:
        with trace.get_tracer("user").start_as_current_span("in the child"):
            pass
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
with Collector() as collector:
    tracer = tracer_to(collector, set_global=True)
    sink = experiment(forks, range(5), tracer=tracer)
    report(flushed=tracer.flush(10), outputs=sink.outputs(), spans=spans_of(collector.spans))
"""
    )
    assert (found["flushed"], found["outputs"]) == (True, [0] * 5)
    assert [span[0] for span in found["spans"]] == ["Task: forks"] * 5


@pytest.mark.thorough
def test_an_instrumentors_spans_nest_and_their_tokens_count():
    found = script(
        COMMON
        + """
from openai import AsyncOpenAI
from openinference.instrumentation.openai import OpenAIInstrumentor
from support.openai_stand_in import OpenAIStandIn
OpenAIInstrumentor().instrument()  # before there is a provider, as applications do
with OpenAIStandIn() as server, Collector() as collector:
    client = AsyncOpenAI(base_url=server.url, api_key="none")
    used = []
    async def asks(input):
        answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": input}])
        used.append(answer.usage.total_tokens)
        return answer.choices[0].message.content
    tracer = tracer_to(collector, set_global=True)
    sink = experiment(asks, ["one", "two and more"], tracer=tracer, concurrency=1)
    tracer.flush(10)
    rows = [[s.name, s.trace_id, s.parent_id, s.attributes.get("llm.model_name")] for s in collector.spans]
    report(spans=rows, used=used, rows=rows_of(sink))
"""
    )
    assert [row[2] for row in found["rows"]] == found["used"]
    for _, trace_id, _ in found["rows"]:
        [llm] = [span for span in found["spans"] if span[1] == trace_id and span[2]]
        assert llm[0] == "ChatCompletion"
    assert len(found["spans"]) == 4
