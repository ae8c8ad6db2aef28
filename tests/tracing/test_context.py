"""The run's span is the current one wherever the user's code runs, and nowhere else."""

import asyncio
import functools
import gc
import logging
import threading
import time

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import INVALID_SPAN

from prefect_experiments.engine import Engine
from prefect_experiments.tasks import resolve_task
from prefect_experiments.tracing import ExperimentTracer
from support.patience import PATIENCE_S
from tests.engine.harness import ListSink, run_items

from .harness import aexperiment, experiment


def current() -> str:
    return f"{trace.get_current_span().get_span_context().trace_id:032x}"


def tracer() -> ExperimentTracer:
    return ExperimentTracer("project")


def sync(input):
    return current()


async def plain(input):
    before = current()
    await asyncio.sleep(0.001)
    assert current() == before
    return before


async def with_tasks_of_its_own(input):
    return (await asyncio.gather(*(plain(input) for _ in range(3))))[0]


class Callable:
    async def __call__(self, input):
        return await plain(input)


class Awaitable:
    def __await__(self):
        before = current()
        yield from asyncio.sleep(0).__await__()
        assert current() == before
        return before


def stream(input):
    yield current()[:16]
    yield current()[16:]


async def async_stream(input):
    yield current()[:16]
    await asyncio.sleep(0.001)
    yield current()[16:]


async def gives_a_stream(input):
    return stream(input)


async def nested_thread(input):
    return await asyncio.to_thread(current)


@pytest.mark.parametrize(
    "task",
    [
        sync,
        plain,
        with_tasks_of_its_own,
        Callable(),
        functools.partial(plain),
        lambda given: plain(given),
        lambda given: Awaitable(),
        nested_thread,
        stream,
        async_stream,
        gives_a_stream,
        lambda given: async_stream(given),
    ],
)
def test_a_task_sees_its_own_run(task):
    sink = experiment(task, range(20), tracer=tracer(), concurrency=4)
    assert sink.errors() == []
    assert [run.trace_id for run in sorted(sink.runs, key=lambda run: run.position)] == sink.outputs()
    assert len(set(sink.outputs())) == 20


def evaluator(output):
    return current()


async def aevaluator(output):
    await asyncio.sleep(0.001)
    return current()


def blocking(output):
    time.sleep(0.003)
    return current()


def gives_awaitable(output):
    return aevaluator(output)


@pytest.mark.parametrize("kind", [evaluator, aevaluator, blocking, gives_awaitable])
def test_an_evaluator_sees_its_own_evaluation(kind):
    sink = experiment(sync, range(30), [kind], tracer=tracer(), concurrency=4)
    assert [row.trace_id for row in sink.evaluations] == [row.label for row in sink.evaluations]
    assert len({row.trace_id for row in sink.evaluations}) == 30


def test_a_retry_goes_on_in_the_same_trace():
    seen = []

    async def flaky(input):
        seen.append(current())
        await asyncio.sleep(0)
        if len(seen) < 4:
            raise ValueError("again")

    sink = experiment(flaky, [1], tracer=tracer(), retries=5)
    assert seen == [sink.run().trace_id] * 4


def test_what_the_caller_has_in_its_context_is_still_there():
    async def main():
        context.attach(baggage.set_baggage("session", "s1"))
        return await aexperiment(lambda given: baggage.get_baggage("session"), [1], tracer=tracer())

    assert asyncio.run(main()).output() == "s1"


def test_nothing_leaks_out_of_timeouts_errors_and_cancellations(caplog):
    over = threading.Event()
    held, still = [], []

    async def fails(input):
        await asyncio.sleep(0)
        raise ValueError

    async def hangs(input):
        await asyncio.sleep(60)

    def holds_its_thread(input):
        held.append(input)
        over.wait(PATIENCE_S)
        still.append(current())

    async def main():
        for task in (fails, hangs, holds_its_thread, lambda given: hangs(given)):
            await aexperiment(task, range(4), tracer=tracer(), concurrency=2, timeout=0.05)
            assert trace.get_current_span() is INVALID_SPAN
        sink = ListSink()
        before = len(held)
        with tracer() as stopped:  # one engine before and after: its threads are used again
            engine = Engine(resolve_task(holds_its_thread), sink=sink, tracer=stopped)
            run = asyncio.create_task(engine.run(run_items([1, 2])))
            await until(lambda: len(held) >= before + 2)
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        over.set()
        await until(lambda: len(still) == len(held))

    async def until(there):
        deadline = time.monotonic() + PATIENCE_S
        while not there():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
        gc.collect()
    assert [record.getMessage() for record in caplog.records] == []
    # Abandoned calls have kept theirs to themselves; one that timed out before its thread began was not made at all.
    assert 2 < len(held) <= 6
    assert len(set(still)) == len(still) == len(held)


def test_a_thread_that_comes_back_late_begins_no_trace_of_its_own():
    """Its run timed out before it had begun."""
    sink = ListSink()

    class Late:
        name, is_async = "late", False

        def call(self, fields):
            return current()

    async def main():
        with tracer() as traced:
            target = traced.task(Late())
            engine = Engine(resolve_task(sync), sink=sink, tracer=traced)
            await engine.run(run_items([1]))
            fields = object()
            item, row = run_items([1])[0], sink.runs[0]
            ended = target.finish(fields, item, None, _failed(row))
            assert ended.trace_id
            return target.call(fields)

    assert asyncio.run(main()) == "0" * 32


def _failed(row):
    from prefect_experiments.engine.calls import CallResult

    return CallResult(None, "TimeoutError: too long", "TimeoutError", row.start_time, row.end_time, 1)


@pytest.mark.thorough
def test_a_loop_that_is_thrown_away_with_calls_under_way_says_nothing(caplog):
    loop = asyncio.new_event_loop()

    async def hangs(input):
        await loop.create_future()

    traced = tracer()
    running = aexperiment(hangs, [1], tracer=traced)
    task = loop.create_task(running)
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        task._log_destroy_pending = False
        loop.close()
        del task, running
        gc.collect()
    assert [record.getMessage() for record in caplog.records if "detach" in record.getMessage()] == []
    assert trace.get_current_span() is INVALID_SPAN


def test_two_experiments_at_once_do_not_mix():
    async def main():
        one, two = tracer(), tracer()
        return await asyncio.gather(
            aexperiment(plain, range(10), [evaluator], tracer=one, concurrency=3),
            aexperiment(plain, range(10), [evaluator], tracer=two, concurrency=3),
        )

    sinks = asyncio.run(main())
    for sink in sinks:
        assert {run.trace_id for run in sink.runs} == set(sink.outputs())
        assert {row.trace_id for row in sink.evaluations} == {row.label for row in sink.evaluations}
    assert len({row.trace_id for sink in sinks for row in [*sink.runs, *sink.evaluations]}) == 40
