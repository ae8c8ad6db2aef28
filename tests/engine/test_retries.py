"""Retries: how often, how far apart, of what; and what an error looks like afterwards."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.engine import calls
from prefect_experiments.engine.dispatch import together
from prefect_experiments.errors import InvalidInput
from prefect_experiments.evaluators import create_evaluator
from support.patience import FOREVER_S

from .harness import InFlight, engine_of, evaluate, evaluation_items, in_virtual_time, run, run_items

REALLY_FIRST = calls.FIRST_BACKOFF_S  # which `conftest.quick` makes short


def failing(times, error=lambda n: ValueError(f"failure {n}"), is_async=False):
    """A task that raises so often for each input and then returns it, and the times of its calls."""
    made: dict[object, list[float]] = {}

    def call(x):
        made.setdefault(x, []).append(time.monotonic())
        if len(made[x]) <= times:
            raise error(len(made[x]))
        return x

    async def async_call(x):
        return call(x)

    return (async_call if is_async else call), made


@settings(max_examples=40, deadline=None)
@given(failures=st.integers(0, 4), retries=st.integers(0, 3), is_async=st.booleans())
def test_attempts_count_calls(failures, retries, is_async):
    task, made = failing(failures, is_async=is_async)
    row = run(task, ["in"], retries=retries).run()
    assert row.attempts == len(made["in"]) == min(failures, retries) + 1
    if failures > retries:
        assert (row.error, row.output_json) == (f"ValueError: failure {retries + 1}", None)
    else:
        assert (row.error, row.output_json) == (None, '"in"')


@pytest.mark.parametrize("is_async", [False, True])
def test_the_same_holds_for_evaluators(is_async):
    judge, made = failing(2, is_async=is_async)
    assert evaluate({"judge": judge}, ["a"], retries=2).evaluation().label == "a"
    assert len(made["a"]) == 3

    judge, made = failing(5, is_async=is_async)
    row = evaluate({"judge": judge}, ["a"], retries=2).evaluation()
    assert (row.error, row.score, row.label) == ("ValueError: failure 3", None, None)
    assert len(made["a"]) == 3


def test_an_experiment_goes_on_around_failures():
    def task(x):
        if x % 3 == 0:
            raise KeyError(x)
        return x

    results = run(task, range(20), retries=1)
    assert len(results.runs) == 20
    assert [row.position for row in results.runs if row.error is None] == [n for n in range(20) if n % 3]
    assert results.errors() == [f"KeyError: {n}" for n in range(0, 20, 3)]
    assert {row.attempts for row in results.runs if row.error} == {2}
    assert all(row.output_json is None for row in results.runs if row.error)


def delays_of(failures: int) -> list[float]:
    """Seconds of virtual time between the calls of a task that fails so often."""
    starts: list[float] = []

    async def main(clock):
        async def task(x):
            starts.append(clock())
            if len(starts) <= failures:
                raise ValueError
            return x

        engine, _ = engine_of(task, retries=failures)
        await engine.run(run_items([1]))

    in_virtual_time(main)
    return [later - earlier for earlier, later in itertools.pairwise(starts)]


def test_delays_grow_exponentially(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 1)
    delays = delays_of(3)
    assert len(delays) == 3
    for n, delay in enumerate(delays):
        assert 0.5 * 2**n <= delay <= 2**n


def test_those_of_a_function_grow_as_well(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 0.08)
    task, made = failing(3)
    run(task, ["x"], retries=3)
    for n, (earlier, later) in enumerate(itertools.pairwise(made["x"])):
        assert later - earlier >= 0.04 * 2**n


def test_delays_have_jitter(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 2)
    task, made = failing(1, is_async=True)
    run(task, range(30), retries=1, concurrency=30)
    delays = sorted(second - first for first, second in made.values())
    assert delays[0] >= 1
    assert delays[-1] - delays[0] > 0.3  # of 1
    assert len({round(delay, 2) for delay in delays}) > 5


def test_delays_have_an_end(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 5)
    monkeypatch.setattr(calls, "LONGEST_BACKOFF_S", 10)
    delays = delays_of(8)
    assert len(delays) == 8
    assert all(delay <= 10 for delay in delays)
    assert all(delay >= 5 for delay in delays[1:])


def test_the_first_retry_comes_within_half_a_second_and_none_later_than_half_a_minute(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", REALLY_FIRST)
    most = [0.5, 1, 2, 4, 8, 16, *[30] * 20]
    for delay, longest in zip(delays_of(len(most)), most, strict=True):
        assert longest / 2 <= delay <= longest


def test_a_quick_python_evaluator_has_nothing_to_wait_for(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 30)
    slept, sleep = [], asyncio.sleep

    async def noted(delay, result=None):
        slept.append(delay)
        return await sleep(delay, result)

    monkeypatch.setattr(asyncio, "sleep", noted)
    judge, made = failing(2)
    assert evaluate({"judge": judge}, ["a"], retries=2).evaluation().error is None
    assert len(made["a"]) == 3
    assert max(slept, default=0) < 0.5


def test_an_evaluator_that_takes_as_long_as_a_network_call_waits(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 0.2)
    starts = []

    def judge(output):
        starts.append(time.monotonic())
        time.sleep(0.03)
        if len(starts) == 1:
            raise ConnectionError
        return 1.0

    assert evaluate(judge).evaluation().score == 1.0
    assert starts[1] - starts[0] >= 0.03 + 0.1


@pytest.mark.parametrize("kind", ["LLM", "HUMAN"])
def test_a_sync_judge_that_fails_quickly_waits_all_the_same(monkeypatch, kind):
    """A refused connection takes no time; it is a provider's trouble, and no plain function's."""
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 0.4)
    judge, made = failing(1, ConnectionRefusedError)
    evaluator = create_evaluator(kind=kind, name="judge")(judge)
    assert evaluate(evaluator, ["a"], retries=1).evaluation().label == "a"
    first, second = made["a"]
    assert second - first >= 0.2


def test_waiting_before_a_retry_leaves_the_loop_free():
    ticks = 0

    async def main():
        nonlocal ticks
        engine, _ = engine_of(failing(3)[0], retries=3)
        running = asyncio.create_task(engine.run(run_items([1])))
        while not running.done():
            ticks += 1
            await asyncio.sleep(0.001)

    asyncio.run(main())
    assert ticks >= 3


@pytest.mark.parametrize("is_async", [False, True])
def test_what_cannot_be_used_is_not_tried_again(is_async):
    task, made = failing(5, lambda n: InvalidInput("no such field"), is_async)
    row = run(task, ["x"], retries=3).run()
    assert (row.error, row.attempts, len(made["x"])) == ("InvalidInput: no such field", 1, 1)
    judge, made = failing(5, lambda n: InvalidInput("no such field"), is_async)
    assert evaluate({"judge": judge}, ["x"], retries=3).evaluation().error == "InvalidInput: no such field"
    assert len(made["x"]) == 1


class Silent(Exception):
    pass


class Unprintable(Exception):
    def __str__(self):
        raise KeyError("in __str__")


class Panic(BaseException):
    """As Rust extensions raise it."""


ERRORS = [
    (ValueError("boom"), "ValueError: boom"),
    (Silent(), "Silent"),
    (Unprintable(), "Unprintable"),
    (KeyError("k"), "KeyError: 'k'"),
    (ValueError("größer als null"), "ValueError: größer als null"),
    (TimeoutError("my own"), "TimeoutError: my own"),
    (TimeoutError(), "TimeoutError"),
    (asyncio.CancelledError("something of mine"), "CancelledError: something of mine"),
    (asyncio.InvalidStateError("x"), "InvalidStateError: x"),
    (SystemExit(2), "SystemExit: 2"),
    (Panic("index out of bounds"), "Panic: index out of bounds"),
    (
        ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
        "ExceptionGroup: two (2 sub-exceptions): ValueError: a; KeyError: 'b'",
    ),
    (BaseExceptionGroup("one", [SystemExit(1)]), "BaseExceptionGroup: one (1 sub-exception): SystemExit: 1"),
]
IN_A_THREAD = [
    *ERRORS,
    (StopIteration("end"), "StopIteration: end"),
    (StopIteration(), "StopIteration"),
    (KeyboardInterrupt(), "KeyboardInterrupt"),
    (GeneratorExit(), "GeneratorExit"),
]


def raising(error, is_async):
    def call(x):
        if x == "bad":
            raise error
        return x

    async def async_call(x):
        await asyncio.sleep(0)
        return call(x)

    return async_call if is_async else call


@pytest.mark.parametrize(
    ("is_async", "error", "text"),
    [(False, *case) for case in IN_A_THREAD] + [(True, *case) for case in ERRORS],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_whatever_is_raised_is_that_rows_error_and_no_others(is_async, error, text):
    target = raising(error, is_async)
    results = run(target, ["bad", "good"], retries=0)
    assert (results.run(0).error, results.run(0).attempts, results.run(0).output_json) == (text, 1, None)
    assert results.output(1) == "good"
    results = evaluate({"judge": target}, ["bad", "good"], retries=1, timeout=30)
    assert results.evaluation(0).error == text
    assert (results.evaluation(1).error, results.evaluation(1).label) == (None, "good")


def test_stop_iteration_of_an_async_task_is_an_error_of_its_row():
    row = run(raising(StopIteration("end"), is_async=True), ["bad"], retries=0).run()
    # As Python has it.
    assert row.error == "RuntimeError: coroutine raised StopIteration (caused by StopIteration: end)"


def test_without_a_timeout_too():
    results = run(raising(Panic(), is_async=False), ["bad", "good"], retries=0, timeout=None)
    assert results.run(0).error == "Panic"


def test_a_signal_ends_the_process_and_not_the_row():
    """What a signal's handler raises comes out of the midst of a task, but is no error of that task."""
    import signal

    class Termination(BaseException):
        pass

    def handler(*_):
        raise Termination

    async def task(x):
        signal.raise_signal(signal.SIGUSR1)
        await asyncio.sleep(0.01)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(Termination):
            run(task, [1, 2, 3])
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("is_async", [False, True])
def test_cancelling_ends_the_run_and_its_calls(is_async):
    in_flight = InFlight()
    over = threading.Event()

    async def task(x):
        with in_flight.call():
            await asyncio.sleep(FOREVER_S)

    def sync_task(x):
        with in_flight.call():
            over.wait()

    async def main():
        engine, sink = engine_of(task if is_async else sync_task, concurrency=3)
        running = asyncio.create_task(engine.run(run_items(range(10))))
        while in_flight.now < 3:
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return sink

    sink = asyncio.run(main())
    over.set()
    assert sink.runs == []
    assert len(in_flight.starts) == 3
    assert in_flight.now == 0 or not is_async


@pytest.mark.parametrize("caught", ["returns", "raises"])
def test_code_that_would_not_be_cancelled_gives_no_result(caught):
    """A bare `except:` around a model call is common; on Ctrl-C it must not make an empty answer a result."""
    in_flight = InFlight()

    async def task(x):
        with in_flight.call():
            try:
                await asyncio.sleep(FOREVER_S)
            except:  # noqa: E722
                if caught == "raises":
                    raise RuntimeError from None
                return

    async def main():
        engine, sink = engine_of(task, concurrency=3)
        running = asyncio.create_task(engine.run(run_items(range(10))))
        while in_flight.now < 3:
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return sink

    assert asyncio.run(main()).runs == []
    assert len(in_flight.starts) == 3


def test_cancelling_an_evaluation_ends_it():
    async def judge(output):
        await asyncio.sleep(FOREVER_S)

    async def main():
        engine, sink = engine_of(None, judge)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.evaluate(evaluation_items(range(5), ["judge"])), 0.05)
        return sink

    assert asyncio.run(main()).evaluations == []


class Overloaded(Exception):
    """As a provider raises it that asks to wait."""

    status_code = 503

    def __init__(self, retry_after):
        self.retry_after = retry_after


def waited_by(task, **options):
    """Seconds of virtual time that one call and its retries took."""

    async def main(clock):
        engine, sink = engine_of(task, **options)
        await engine.run(run_items([1]))
        assert sink.run().error is None
        return clock()

    return in_virtual_time(main)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(None, 4, 8), (1.0, 4, 8), (8.5, 8.5, 8.5), (599.0, 599, 599), (600.0, 600, 600), (86_400.0, 600, 600)],
)
def test_a_retry_after_is_waited_for_if_it_is_longer_and_no_longer_than_ten_minutes(monkeypatch, asked, least, most):
    monkeypatch.setattr(calls, "FIRST_BACKOFF_S", 8)
    made = []

    async def task(input):
        made.append(input)
        if len(made) == 1:
            raise Overloaded(asked)
        return input

    assert least <= waited_by(task, retries=1, timeout=None) <= most


def test_a_lane_that_fails_ends_the_others_at_once():
    """And not when they have come to their own end: what waits for a file or a provider may wait for long."""
    stopped = []

    async def fails():
        raise RuntimeError("boom")

    async def waits():
        await asyncio.sleep(10_000)

    async def main(clock):
        with pytest.raises(RuntimeError, match="boom"):
            await together([waits(), fails()], lambda: stopped.append(clock()))
        return clock()

    assert (in_virtual_time(main), stopped) == (0, [0])
