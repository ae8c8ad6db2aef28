"""Spans on their way to a collector: in batches, off the calls' way, whatever the collector does."""

import asyncio
import logging
import re
import socket
import threading
import time

import httpx
import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import TracerProvider

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.tracing import ExperimentTracer, TraceExport, delivery, sender
from support.collector import Collector
from support.patience import PATIENCE_S, wait_for
from support.servers import free_port

from .harness import aexperiment, experiment, exported, script, tracer_to

SECRET = "s3cret-key"


def quick(input):
    return input


def messages(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


def test_spans_arrive_in_batches_with_the_headers_given(collector):
    export = TraceExport(collector.endpoint, {"Authorization": f"Bearer {SECRET}"})
    tracer = ExperimentTracer("project", export=export)
    with tracer.hold():
        experiment(quick, range(700), [lambda output: 1.0], tracer=tracer)
    assert tracer.flush(PATIENCE_S)
    assert sorted(len(request.spans) for request in collector.requests) == [1400 - 2 * 512, 512, 512]
    for request in collector.requests:
        assert request.path == "/v1/traces"
        assert request.headers["authorization"] == f"Bearer {SECRET}"
        assert request.headers["content-type"] == "application/x-protobuf"


def test_they_follow_by_themselves_when_nobody_waits(collector):
    experiment(quick, range(3), tracer=tracer_to(collector))
    assert len(collector.wait_for(3)) == 3


def test_held_spans_wait_and_flushing_sends_them(collector):
    tracer = tracer_to(collector)
    with tracer.hold(), tracer_to(collector, "another").hold():
        experiment(quick, range(3), tracer=tracer)
        time.sleep(0.3)
        assert (collector.requests, tracer.waiting) == ([], 3)
        assert tracer.flush(PATIENCE_S)
        assert len(collector.spans) == 3
        experiment(quick, range(3), tracer=tracer_to(collector))
        time.sleep(0.3)
        assert (len(collector.spans), tracer.waiting) == (3, 3), "what comes after flushing is held again"
    assert len(collector.wait_for(6)) == 6
    assert tracer.flush(PATIENCE_S)
    assert tracer.waiting == 0


def test_holding_is_for_all_who_send_there_until_the_last_lets_go(collector):
    one, two = tracer_to(collector, "one"), tracer_to(collector, "two")
    with one.hold():
        with two.hold():
            experiment(quick, range(3), tracer=two)
        time.sleep(0.2)
        assert collector.requests == []
    collector.wait_for(3)


def test_very_many_are_sent_though_held(collector, monkeypatch):
    monkeypatch.setattr(sender, "HELD_SPANS", 100)
    monkeypatch.setattr(sender, "BATCH_SPANS", 40)
    tracer = tracer_to(collector)
    with tracer.hold():
        experiment(quick, range(300), tracer=tracer)
        collector.wait_for(200)
        wait_for(lambda: tracer.waiting <= 100, "what is more than may be held")
        assert tracer.waiting > 0
    assert tracer.flush(PATIENCE_S)
    assert len(collector.spans) == 300


def test_very_much_text_is_sent_though_held_and_in_smaller_batches(collector, monkeypatch):
    monkeypatch.setattr(sender, "HELD_CHARACTERS", 1_000_000)
    monkeypatch.setattr(sender, "BATCH_CHARACTERS", 200_000)
    tracer = tracer_to(collector)
    with tracer.hold():
        experiment(lambda given: "x" * 50_000, range(40), tracer=tracer)
        collector.wait_for(10)
        time.sleep(0.2)
        assert tracer.waiting > 0
    assert tracer.flush(PATIENCE_S)
    assert len(collector.spans) == 40
    assert max(request.body_bytes for request in collector.requests) < 300_000


def test_a_batch_is_as_large_as_all_that_is_in_it(collector, monkeypatch):
    monkeypatch.setattr(sender, "BATCH_CHARACTERS", 200_000)
    tracer = tracer_to(collector)
    with tracer.hold():  # one after the other: the first is the smallest
        experiment(lambda given: "x" * (50_000 if given else 0), range(21), tracer=tracer, concurrency=1)
    assert tracer.flush(PATIENCE_S)
    assert len(collector.spans) == 21
    assert max(request.body_bytes for request in collector.requests) < 300_000


class Calls:
    """A task that notes its calls."""

    def __init__(self):
        self.made = 0

    async def __call__(self, input):
        self.made += 1
        await asyncio.sleep(0.01)
        return input


@pytest.mark.mostly_slow(quick=2)
@pytest.mark.parametrize("how", ["refused", "hanging", "500", "503", "slow", "no such host"])
def test_an_unreachable_collector_costs_the_calls_nothing(collector, how, caplog):
    export = TraceExport(collector.endpoint, {"authorization": SECRET})
    if how == "hanging":
        collector.hang()
    elif how == "slow":
        collector.delay = PATIENCE_S
    elif how == "refused":
        export = TraceExport(f"http://user:{SECRET}@127.0.0.1:{free_port()}/v1/traces", {"authorization": SECRET})
    elif how == "no such host":
        export = TraceExport("http://no-such-host.invalid/v1/traces", {"authorization": SECRET})
    else:
        collector.status = int(how)
    tracer, task = ExperimentTracer("project", export=export), Calls()

    sink = asyncio.run(aexperiment(task, range(300), tracer=tracer))
    assert collector.spans == [], "no call has waited for an answer"
    assert task.made == len(sink.runs) == 300
    assert not tracer.flush(0.1)
    text = "\n".join(messages(caplog))
    assert SECRET not in text
    if how in {"refused", "500", "503"}:
        said = [line for line in messages(caplog) if "cannot be delivered" in line]
        assert len(said) == 1
        assert {"refused": "connection refused", "500": "HTTP 500", "503": "HTTP 503"}[how] in said[0]
    assert [r for r in caplog.records if r.name.startswith("opentelemetry") and r.levelno >= logging.WARNING] == []


def test_a_timeout_is_told_and_tried_again(collector, monkeypatch, caplog):
    monkeypatch.setattr(delivery, "ATTEMPT_S", 0.2)
    collector.delay = 1
    tracer = tracer_to(collector)
    experiment(quick, range(3), tracer=tracer)
    collector.wait_for_requests(2)
    collector.delay = 0
    assert tracer.flush(PATIENCE_S)
    assert any("no answer within 0.2 s" in line for line in messages(caplog))


def test_what_was_kept_arrives_once_the_collector_is_back(collector, caplog):
    tracer = tracer_to(collector)
    collector.status = 503
    experiment(quick, range(3), tracer=tracer)
    collector.wait_for_requests(4)  # it goes on trying
    collector.stop()
    experiment(quick, range(3), tracer=tracer_to(collector))
    collector.status = 200
    collector.start()
    assert tracer.flush(PATIENCE_S)
    assert len(collector.spans) == len({span.span_id for span in collector.spans}) == 6
    said = [line for line in messages(caplog) if "elivered" in line]
    assert len(said) == 2
    assert re.fullmatch(rf"Traces are being delivered to {collector.endpoint} again\.", said[1])


def test_what_guards_the_network_in_tests_loses_no_span(collector, monkeypatch, caplog):
    class SocketBlocked(RuntimeError):
        """A guard of somebody's refuses."""

    tried = threading.Event()

    def refuse(*_):
        tried.set()
        raise SocketBlocked(SECRET)

    tracer = tracer_to(collector)
    with monkeypatch.context() as guarded:
        guarded.setattr(socket.socket, "connect", refuse)
        experiment(quick, range(3), tracer=tracer)
        assert not tracer.flush(0.1)
        assert tried.wait(PATIENCE_S)
    assert tracer.flush(PATIENCE_S)
    assert len(collector.spans) == 3
    said = "\n".join(messages(caplog))
    assert "SocketBlocked" in said
    assert SECRET not in said


def test_what_cannot_be_kept_is_dropped_oldest_first_and_counted(collector, monkeypatch, caplog):
    monkeypatch.setattr(sender, "KEPT_SPANS", 100)
    tracer = tracer_to(collector)
    collector.status = 503
    sink = experiment(quick, range(250), tracer=tracer, concurrency=1)
    collector.wait_for_requests(3)
    collector.status = 200
    assert tracer.flush(PATIENCE_S)
    assert {span.trace_id for span in collector.spans} == {run.trace_id for run in sink.runs[150:]}
    assert [line for line in messages(caplog) if "150 spans were lost" in line]


@pytest.mark.thorough
@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_a_span_that_the_collector_refuses_or_breaks_at_is_left_out_and_no_other(collector, status, caplog):
    collector.judge = lambda spans: status if any(s.attributes["input.value"] == "13" for s in spans) else 200
    tracer = tracer_to(collector)
    with tracer.hold():
        experiment(quick, range(100), tracer=tracer)
    assert tracer.flush(PATIENCE_S)
    assert sorted(int(span.attributes["input.value"]) for span in collector.spans) == [*range(13), *range(14, 100)]
    [said] = [line for line in messages(caplog) if "does not take some spans" in line]
    assert f"HTTP {status}" in said


@pytest.mark.thorough
def test_a_collector_that_refuses_everything_is_not_asked_for_each_span(collector):
    collector.status = 400
    tracer = tracer_to(collector)
    with tracer.hold():
        experiment(quick, range(1000), tracer=tracer)
    assert tracer.flush(PATIENCE_S)
    assert len(collector.requests) < 50


def test_what_is_too_large_goes_in_smaller_parts(collector):
    collector.judge = lambda spans: 413 if len(spans) > 60 else 200
    tracer = tracer_to(collector)
    with tracer.hold():
        experiment(quick, range(300), tracer=tracer)
    assert tracer.flush(PATIENCE_S)
    assert len(collector.spans) == 300
    assert len(collector.requests) < 20


def test_a_wrong_key_is_said_once(collector, caplog):
    collector.status = 401
    tracer = ExperimentTracer("p", export=TraceExport(collector.endpoint, {"authorization": SECRET}))
    experiment(quick, range(3), tracer=tracer)
    collector.wait_for_requests(3)
    [said] = [line for line in messages(caplog) if "cannot be delivered" in line]
    assert "HTTP 401 (is the API key right?)" in said
    assert SECRET not in said


def test_a_redirect_is_no_success(collector, caplog):
    collector.status = 302
    collector.headers = {"Location": "/login"}
    tracer = tracer_to(collector)
    experiment(quick, range(3), tracer=tracer)
    collector.wait_for_requests(2)
    assert tracer.waiting == 3
    assert any("HTTP 302 (is this the address for traces?)" in line for line in messages(caplog))


@pytest.mark.parametrize("status", [201, 202, 299])
def test_any_status_of_success_is_one(collector, status, caplog):
    collector.status = status
    tracer = tracer_to(collector)
    experiment(quick, range(3), tracer=tracer)
    collector.wait_for_requests(1)
    collector.status = 200
    tracer.flush(PATIENCE_S)
    assert sum(len(request.spans) for request in collector.requests) == 3, "none was sent again"
    assert not [line for line in messages(caplog) if "HTTP" in line]


def test_a_collector_that_asks_to_wait_is_left_alone(collector, monkeypatch):
    monkeypatch.setattr(sender, "LONGEST_BACKOFF_S", 5)
    collector.status = 429
    collector.headers = {"Retry-After": "1"}
    tracer = tracer_to(collector)
    experiment(quick, range(3), tracer=tracer)
    collector.wait_for_requests(1)
    collector.status = 200
    collector.wait_for(3)
    first, second = collector.requests
    assert second.at - first.at >= 1


def test_a_collector_that_asks_to_wait_for_an_hour_is_found_back_before(collector):
    collector.status = 503
    collector.headers = {"Retry-After": "3600"}
    tracer = tracer_to(collector)
    experiment(quick, range(3), tracer=tracer)
    collector.wait_for_requests(2)
    collector.status = 200
    assert len(collector.wait_for(3)) == 3


def test_a_collector_that_is_busy_for_a_moment_is_not_worth_a_word(collector, monkeypatch, caplog):
    monkeypatch.setattr(sender, "BUSY_S", 30)
    collector.status = 503
    tracer = tracer_to(collector)
    experiment(quick, range(3), tracer=tracer)
    collector.wait_for_requests(4)
    collector.status = 200
    assert tracer.flush(PATIENCE_S)
    assert [line for line in messages(caplog) if "elivered" in line] == []


def test_secrets_meant_for_other_collectors_are_not_sent_to_this_one(collector, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login someone password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-honeycomb-team={SECRET}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", f"x-other={SECRET}")
    tracer = ExperimentTracer("p", export=TraceExport(collector.endpoint, {"Authorization": "mine"}))
    experiment(quick, [1], tracer=tracer)
    assert tracer.flush(PATIENCE_S)
    [request] = collector.requests
    assert SECRET not in str(request.headers)
    assert request.headers["authorization"] == "mine"


def test_our_requests_make_no_spans_in_the_applications_traces(collector, monkeypatch):
    """Where httpx is instrumented, as OpenTelemetry's package does it: each request is asked whether it is wanted."""
    handle, seen = httpx.HTTPTransport.handle_request, []

    def instrumented(transport, request):
        seen.append((request.url.path, is_instrumentation_enabled()))
        return handle(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", instrumented)
    with TracerProvider(shutdown_on_exit=False).get_tracer("app").start_as_current_span("request"):
        exported(collector, quick, [1])
        with httpx.Client(trust_env=False) as client:
            client.post(collector.endpoint + "/of-the-application")
    assert set(seen) == {("/v1/traces", False), ("/v1/traces/of-the-application", True)}


@pytest.mark.parametrize(
    ("endpoint", "headers"),
    [
        ("localhost:6006", {}),
        ("ftp://host/v1/traces", {}),
        ("", {}),
        (f"user:{SECRET}@host", {}),
        ("http://host", {"authorization": f"{SECRET}\n"}),
        ("http://host", {"authorization": f"{SECRET} "}),
        ("http://host", {"authorization": f"{SECRET}\u2026"}),
    ],
)
def test_what_cannot_be_sent_to_is_refused_without_telling_the_secret(endpoint, headers):
    with pytest.raises(InvalidSetting) as refused:
        TraceExport(endpoint, headers)
    assert SECRET not in str(refused.value)


def test_an_export_shows_no_secret():
    export = TraceExport(f"https://user:{SECRET}@host:6006/v1/traces?key={SECRET}", {"api_key": SECRET})
    assert repr(export) == "TraceExport('https://host:6006/v1/traces', headers: api_key)"


AT_THE_END = """
import sys
from tests.tracing.harness import experiment
from prefect_experiments.tracing import ExperimentTracer, TraceExport, sender
tracer = ExperimentTracer("p", export=TraceExport(sys.argv[1]))
tracer.hold().__enter__()
experiment(lambda given: given, range(1200), tracer=tracer)
for patience in sys.argv[2:]:
    sender.EXIT_S = sender.EXIT_SILENT_S = float(patience)
"""


@pytest.mark.thorough
def test_what_waits_at_the_end_of_the_process_is_sent(collector):
    found = script(AT_THE_END, collector.endpoint, str(PATIENCE_S))
    assert len(collector.spans) == 1200
    assert found["stderr"] == ""


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("how", ["refused", "hanging"])
def test_a_silent_collector_does_not_hold_up_the_end_of_the_process(collector, how):
    if how == "hanging":
        collector.hang()
    found = script(AT_THE_END, collector.endpoint if how == "hanging" else f"http://127.0.0.1:{free_port()}/v1/traces")
    assert "1,200 spans of traces could not be delivered" in found["stderr"]


@pytest.mark.thorough
def test_a_slow_collector_is_waited_for(collector):
    collector.delay = 1.2
    found = script(AT_THE_END, collector.endpoint, str(PATIENCE_S))
    assert len(collector.spans) == 1200
    assert found["stderr"] == ""


def test_the_thread_ends_when_there_is_nothing_to_do_and_comes_back(collector, monkeypatch):
    monkeypatch.setattr(sender, "IDLE_S", 0.1)

    def running() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "experiment-traces"]

    before = len(running())
    tracer = tracer_to(collector)
    experiment(quick, [1], tracer=tracer)
    collector.wait_for(1)
    wait_for(lambda: len(running()) <= before, "the thread's end")
    experiment(quick, [1], tracer=tracer)
    collector.wait_for(2)


def test_warnings_reach_the_log_of_the_flow_that_is_concerned(collector, caplog):
    import contextvars

    run_of = contextvars.ContextVar("run_of", default="none")
    seen = []

    class Where(logging.Handler):
        def emit(self, record):
            seen.append(run_of.get())

    logger = logging.getLogger("prefect_experiments")
    logger.addHandler(handler := Where())
    try:
        collector.status = 503
        run_of.set("flow run 1")
        experiment(quick, [1], tracer=tracer_to(collector))
        collector.wait_for_requests(2)
    finally:
        logger.removeHandler(handler)
    assert seen == ["flow run 1"]


def test_a_collector_beside_another_that_fails_is_served(collector):
    with Collector() as failing:
        failing.hang()
        experiment(quick, range(3), tracer=tracer_to(failing))
        exported(collector, quick, range(3))
    assert len(collector.spans) == 3
