"""One example never sees another: each attempt of a call begins in a copy of the caller's context."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import functools
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, context

from prefect_experiments.evaluators import Evaluator, create_evaluator, evaluator_task

from .harness import engine_of, evaluate, evaluation_items, run, run_items

HISTORY: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("history", default=())
CONCURRENCY = [1, 2, 5, 20, 50]
EXAMPLES = 60


def chat(text):
    """An application that keeps its history where web frameworks say it belongs."""
    HISTORY.set((*HISTORY.get(), str(text)))
    return " ".join(HISTORY.get())


def precise(number):
    """Leaves decimal's precision as no caller would have it."""
    before = decimal.getcontext().prec
    decimal.getcontext().prec = 3 + int(number) % 5
    return str(before)


def bound_context(text):
    """As structlog's `bind_contextvars` and OpenTelemetry's baggage are used: bound, and left so."""
    seen = baggage.get_all()
    context.attach(baggage.set_baggage(f"example {text}", "left behind"))
    return str(sorted(seen))


def numpy_errors(number):
    """numpy keeps what is done about a division by zero in a context as well."""
    before = np.geterr()["divide"]
    np.seterr(divide="ignore" if before == "raise" else "raise")
    return before


APPLICATIONS = {
    chat: lambda text: f"of the caller {text}",
    precise: lambda text: "17",
    bound_context: lambda text: "['session']",
    numpy_errors: lambda text: "warn",
}


def sync(application, failures):
    def call(text):
        answer = application(text)
        if next_fails(failures, text):
            raise ValueError("again")
        return answer

    return call


def awaiting(application, failures):
    async def call(text):
        answer = application(text)
        await asyncio.sleep(0)
        assert application is not chat or " ".join(HISTORY.get()) == answer  # nor does one that runs beside it
        if next_fails(failures, text):
            raise ValueError("again")
        return answer

    return call


def given_awaitable(application, failures):
    """Looks sync; what it gives is awaited later, in the context in which it was made."""
    call = awaiting(lambda text: text, failures)

    def make(text):
        answer = application(text)

        async def rest():
            await call(text)
            return answer

        return rest()

    return make


def blocking(application, failures):
    call = sync(application, failures)

    def slow(text):
        time.sleep(0.002)
        return call(text)

    return slow


def streaming(application, failures):
    async def call(text):
        answer = application(text)
        yield answer[:3]
        await asyncio.sleep(0)
        if next_fails(failures, text):
            raise ValueError("again")
        yield answer[3:]

    return call


def next_fails(failures, text):
    with failures["lock"]:
        failures[text] = failures.get(text, 0) + 1
        return failures[text] <= failures["times"]


def as_caller(function):
    """Run it where the caller has set all that the applications leave."""

    async def main():
        HISTORY.set(("of the caller",))
        decimal.getcontext().prec = 17
        context.attach(baggage.set_baggage("session", "s1"))
        return await function()

    return contextvars.copy_context().run(asyncio.run, main())


def runs(call, concurrency, retries):
    async def main():
        engine, sink = engine_of(call, concurrency=concurrency, retries=retries)
        await engine.run(run_items(range(EXAMPLES)))
        return sink

    sink = as_caller(main)
    assert sink.errors() == []
    return sink.outputs()


def evaluations(call, concurrency, retries):
    async def main():
        engine, sink = engine_of(None, {"judge": call}, concurrency=concurrency, retries=retries)
        await engine.evaluate(evaluation_items(range(EXAMPLES), ["judge"]))
        return sink

    sink = as_caller(main)
    assert [row.error for row in sink.evaluations] == [None] * EXAMPLES
    return [row.label for row in sorted(sink.evaluations, key=lambda row: row.position)]


@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize("form", [sync, awaiting, given_awaitable, blocking, streaming])
@pytest.mark.parametrize("application", APPLICATIONS)
def test_a_task_scores_the_same_at_every_concurrency(application, form, concurrency):
    failures = {"times": 0, "lock": threading.Lock()}
    expected = [APPLICATIONS[application](text) for text in range(EXAMPLES)]
    assert runs(form(application, failures), concurrency, 0) == expected


@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize("form", [sync, awaiting, given_awaitable, blocking])
@pytest.mark.parametrize("application", APPLICATIONS)
def test_an_evaluator_scores_the_same_at_every_concurrency(application, form, concurrency):
    failures = {"times": 0, "lock": threading.Lock()}
    expected = [APPLICATIONS[application](text) for text in range(EXAMPLES)]
    assert evaluations(form(application, failures), concurrency, 0) == expected


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    application=st.sampled_from(list(APPLICATIONS)),
    form=st.sampled_from([sync, awaiting, given_awaitable, blocking]),
    concurrency=st.sampled_from(CONCURRENCY),
    times=st.integers(1, 2),
    make=st.sampled_from([runs, evaluations]),
)
def test_nor_does_a_retry_see_what_the_attempt_before_it_left(application, form, concurrency, times, make):
    failures = {"times": times, "lock": threading.Lock()}
    expected = [APPLICATIONS[application](text) for text in range(EXAMPLES)]
    assert make(form(application, failures), concurrency, 2) == expected


def test_a_refused_call_is_tried_again_in_a_context_of_its_own():
    class Busy(Exception):
        status_code = 429

    seen = []

    async def task(text):
        seen.append(chat(text))
        if len(seen) < 3:
            raise Busy

    run(task, ["x"], retries=0)
    assert seen == ["x"] * 3


def test_classes_partials_and_evaluator_task():
    class Judge(Evaluator):
        def evaluate(self, output):
            return chat(output)

    class AsyncJudge(Evaluator):
        async def async_evaluate(self, output):
            return chat(output)

    @create_evaluator(kind="LLM")
    def judge(output):
        return chat(output)

    def with_two(prefix, output):
        return chat(output)

    for each in (Judge(), AsyncJudge(), judge, functools.partial(with_two, "x")):
        rows = evaluate({"judge": each}, [str(n) for n in range(20)], concurrency=2).evaluations
        assert sorted(row.label for row in rows) == sorted(str(n) for n in range(20))
        outputs = run(evaluator_task(each, output="input"), [str(n) for n in range(20)], concurrency=2).outputs()
        assert [output["label"] for output in outputs] == [str(n) for n in range(20)]


def test_a_scorer_runs_in_the_context_of_its_own_call():
    def scorer(value):
        return chat(value)

    @create_evaluator(scorer=scorer)
    def judge(output):
        return chat(output)

    @create_evaluator(scorer=scorer)
    async def ajudge(output):
        return chat(output)

    for each in (judge, ajudge):
        rows = evaluate({"judge": each}, [str(n) for n in range(20)], concurrency=3).evaluations
        assert sorted(row.label for row in rows) == sorted(f"{n} {n}" for n in range(20))


def test_what_an_output_does_while_it_is_kept_stays_in_its_call():
    class Lazy:
        def model_dump(self, mode):
            return chat("dumped")

    async def task(x):
        return Lazy()

    for each in (task, lambda x: Lazy()):
        assert run(each, range(9), concurrency=2).outputs() == ["dumped"] * 9


def test_each_attempt_is_an_asyncio_task_of_its_own():
    """Sessions that are kept by task, as SQLAlchemy's `async_scoped_session`, are no example's but their own."""
    seen = {}

    async def task(x):
        current = asyncio.current_task()
        before = seen.setdefault(current, x)
        await asyncio.sleep(0)
        assert asyncio.current_task() is current
        return before

    results = run(task, range(30), concurrency=2)
    assert results.outputs() == list(range(30))
    assert len(evaluate(task, range(30), concurrency=2).evaluations) == 30
    assert len(seen) == 60


def test_code_that_cancels_its_own_task_fails_alone():
    async def task(x):
        if x == 3:
            asyncio.current_task().cancel()
        await asyncio.sleep(0)
        return x

    results = run(task, range(9), concurrency=2, retries=0)
    assert [row.position for row in results.runs if row.error] == [3]
    assert results.run(3).error == "CancelledError"


def test_tasks_that_a_call_starts_have_its_context_and_keep_it():
    late = []

    async def part(text):
        await asyncio.sleep(0)
        return " ".join(HISTORY.get())

    async def late_part(text):
        await asyncio.sleep(0.01)
        late.append(" ".join(HISTORY.get()) == str(text))

    started = []

    async def task(text):
        chat(text)
        started.append(asyncio.create_task(late_part(text)))
        async with asyncio.TaskGroup() as group, asyncio.timeout(10):
            parts = [group.create_task(part(text)) for _ in range(3)]
        in_thread = await asyncio.to_thread(lambda: " ".join(HISTORY.get()))
        return [await each for each in parts] + [in_thread]

    async def main():
        engine, sink = engine_of(task, concurrency=2)
        await engine.run(run_items(range(10)))
        await asyncio.gather(*started)
        return sink

    assert asyncio.run(main()).outputs() == [[str(n)] * 4 for n in range(10)]
    assert late == [True] * 10


def test_timeouts_and_cancellation_stay_what_they_are():
    """The time limit reaches the user's code once, as a cancellation that it may clean up after."""
    cleaned = []

    async def task(text):
        chat(text)
        try:
            async with asyncio.timeout(30):
                await asyncio.sleep(30)
        finally:
            cleaned.append(" ".join(HISTORY.get()))

    results = run(task, range(4), concurrency=2, timeout=0.05, retries=1)
    assert results.errors() == ["TimeoutError: no answer within timeout=0.05 s"] * 4
    assert sorted(cleaned) == sorted(str(n) for n in [*range(4)] * 2)


def test_what_is_set_between_batches_is_seen_and_kept_apart():
    async def main():
        engine, sink = engine_of(chat, concurrency=2)
        HISTORY.set(("first",))
        await engine.run(run_items(range(2)))
        HISTORY.set(("second",))
        await engine.run(run_items(range(2)))
        return sink

    sink = asyncio.run(main())
    outputs = [row.output_json for row in sink.runs]
    assert sorted(outputs) == ['"first 0"', '"first 1"', '"second 0"', '"second 1"']


def test_the_callers_own_context_stays_as_it_was():
    async def main():
        decimal.getcontext().prec = 17
        engine, _ = engine_of(awaiting(precise, {"times": 0, "lock": threading.Lock()}), lambda output: precise(1))
        await engine.run(run_items(range(5)))
        await engine.evaluate(evaluation_items(range(5), [engine.evaluators[0].name]))
        return decimal.getcontext().prec

    assert asyncio.run(main()) == 17


def test_these_applications_would_leak():
    """Run one after the other in one context, each sees the one before."""

    def one_after_the_other(application):
        return [application(n) for n in range(3)]

    for application in APPLICATIONS:
        outputs = contextvars.copy_context().run(one_after_the_other, application)
        assert len(set(outputs)) > 1, application
