"""Timeouts are real: async work is cancelled, a thread is no longer waited for, the process can end."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
import time
from types import SimpleNamespace

import pytest

from prefect_experiments.engine import dispatch
from support.patience import FOREVER_S, PATIENCE_S

from .harness import InFlight, engine_of, evaluate, evaluation_items, in_virtual_time, python, run, run_items

TOO_LONG = "TimeoutError: no answer within timeout=0.1 s"
LONGER = "TimeoutError: no answer within timeout=2 s"
"""Where others answer at once, in threads, on whatever machine that is."""


@pytest.fixture
def gate():
    """Lets the threads of a test go when it is over."""
    event = threading.Event()
    yield event
    event.set()


def test_async_work_is_cancelled_for_real():
    in_flight, cleaned_up = InFlight(), []

    async def task(x):
        with in_flight.call():
            try:
                await asyncio.sleep(FOREVER_S if x == "slow" else 0)
            finally:
                await asyncio.sleep(0)  # a clean-up may await
                cleaned_up.append(x)
            return x

    async def main(clock):
        engine, sink = engine_of(task, timeout=0.1, retries=1)
        await engine.run(run_items(["slow", "quick"]))
        assert clock() >= 0.2
        left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        return sink, left

    sink, left = in_virtual_time(main)
    assert (sink.run(0).error, sink.run(0).attempts, sink.run(0).output_json) == (TOO_LONG, 2, None)
    assert sink.output(1) == "quick"
    assert sorted(cleaned_up) == ["quick", "slow", "slow"]
    assert in_flight.now == 0
    assert left == []


def test_a_thread_is_no_longer_waited_for_and_other_examples_go_on(gate):
    in_flight = InFlight()

    def task(x):
        with in_flight.call():
            if x % 5 == 0:
                gate.wait()
            return x

    results = run(task, range(20), timeout=2, retries=0, concurrency=2)
    assert results.errors() == [LONGER] * 4
    assert sorted(row.position for row in results.runs if row.error is None) == [n for n in range(20) if n % 5]
    assert in_flight.now == 4  # nothing can stop them


def test_what_a_left_thread_does_later_is_nobodys(gate, caplog, recwarn):
    done = threading.Event()

    def task(x):
        gate.wait()
        done.set()
        raise ValueError(f"late, about {x}")

    async def main():
        engine, sink = engine_of(task, timeout=0.05, retries=0)
        await engine.run(run_items(["secret"]))
        gate.set()
        await asyncio.to_thread(done.wait, PATIENCE_S)
        await asyncio.sleep(0.05)
        return sink

    sink = asyncio.run(main())
    import gc

    gc.collect()
    assert [row.error for row in sink.runs] == ["TimeoutError: no answer within timeout=0.05 s"]
    assert "secret" not in caplog.text
    assert not [w for w in recwarn if "never" in str(w.message)]


def test_a_thread_that_was_left_takes_no_further_call(gate, monkeypatch):
    monkeypatch.setattr(dispatch, "SLICE_S", FOREVER_S)
    made, called = [], threading.Event()

    def call(fields):
        made.append(fields)
        called.set()
        gate.wait()

    jobs = collections.deque(dispatch.Job(name, name) for name in ("stuck", "next"))
    piece = dispatch._Slice(jobs, SimpleNamespace(target=SimpleNamespace(call=call)))
    thread = threading.Thread(target=piece.run)
    thread.start()
    assert called.wait(PATIENCE_S)
    assert piece.abandon_if_stuck(0).item == "stuck"
    gate.set()
    thread.join()
    assert (made, [job.item for job in jobs], piece.done) == (["stuck"], ["next"], [])


def test_a_threads_late_answer_comes_after_the_loop_has_closed(gate):
    def task(x):
        gate.wait()
        return x

    assert run(task, ["x"], timeout=0.05, retries=0).run().error.startswith("TimeoutError")
    gate.set()
    time.sleep(0.05)
    assert run(lambda x: x, ["y"]).output() == "y"


@pytest.mark.parametrize("is_async", [False, True])
def test_the_users_own_timeout_error_is_not_called_ours(is_async):
    def call(x):
        raise TimeoutError("the database did not answer")

    async def async_call(x):
        await asyncio.wait_for(asyncio.sleep(FOREVER_S), 0.01)

    row = run(async_call if is_async else call, retries=0, timeout=5).run()
    assert row.error == ("TimeoutError" if is_async else "TimeoutError: the database did not answer")


@pytest.mark.parametrize("caught", ["returns", "raises"])
def test_code_that_makes_something_else_of_the_cancellation_has_timed_out(caught):
    async def task(x):
        try:
            await asyncio.sleep(FOREVER_S)
        except:  # noqa: E722
            if caught == "raises":
                raise ConnectionError("closed") from None
        return "late"

    assert run(task, retries=0, timeout=0.1).run().error == TOO_LONG


def test_a_lambda_around_a_coroutine_function_is_cancelled_too():
    cleaned_up = []

    async def slow(x):
        try:
            await asyncio.sleep(FOREVER_S if x == "slow" else 0)
        finally:
            cleaned_up.append(x)
        return x

    results = run(lambda x: slow(x), ["slow", "quick"], retries=0, timeout=2)
    assert (results.run(0).error, results.output(1)) == (LONGER, "quick")
    assert sorted(cleaned_up) == ["quick", "slow"]
    results = evaluate(lambda output: slow(output), ["slow", "quick"], retries=0, timeout=2)
    assert (results.evaluation(0).error, results.evaluation(1).label) == (LONGER, "quick")
    assert cleaned_up.count("slow") == 2


def test_both_parts_of_such_a_lambda_share_one_timeout():
    async def second():
        await asyncio.sleep(0.2)

    def task(x):
        time.sleep(0.2)
        return second()

    assert run(task, retries=0, timeout=0.3).run().error == "TimeoutError: no answer within timeout=0.3 s"
    assert evaluate(lambda output: task(output), retries=0, timeout=0.3).evaluation().error.startswith("TimeoutError")


def test_an_async_evaluator_is_cancelled():
    in_flight = InFlight()

    async def judge(output):
        with in_flight.call():
            await asyncio.sleep(FOREVER_S if output == "slow" else 0)
            return True

    results = evaluate(judge, ["slow", "quick"], retries=0, timeout=2)
    assert (results.evaluation(0).error, results.evaluation(1).score) == (LONGER, 1.0)
    assert in_flight.now == 0


def test_a_sync_evaluator_that_hangs_on_one_example_keeps_the_others_verdicts(gate):
    calls = []

    def judge(output):
        calls.append(output)
        if output == 30:
            gate.wait()
        return output

    results = evaluate(judge, range(60), retries=0, timeout=2, concurrency=3)
    assert results.evaluation(30).error == LONGER
    assert sorted(row.score for row in results.evaluations if row.error is None) == [n for n in range(60) if n != 30]
    assert sorted(calls) == list(range(60))  # nobody's verdict was asked for twice


def test_a_sync_evaluator_that_hangs_is_given_up_when_its_timeout_is_over(gate, monkeypatch):
    async def main(clock):
        monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=clock, time=clock))
        engine, sink = engine_of(None, lambda output: gate.wait(), timeout=10, retries=0)
        await engine.evaluate(evaluation_items(["out"], [evaluator.name for evaluator in engine.evaluators]))
        return sink.evaluation()

    row = in_virtual_time(main)
    assert row.error == "TimeoutError: no answer within timeout=10 s"
    assert row.end_time - row.start_time == pytest.approx(10, abs=1)


def test_calls_that_go_on_past_their_timeout_are_counted():
    async def task(x):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(FOREVER_S if x else 0)
        if x == "stubborn":
            await asyncio.sleep(5)
        return x

    async def main(clock):
        engine, sink = engine_of(task, timeout=1, retries=0)
        await engine.run(run_items(["stubborn", "", "slow", ""]))
        return engine.abandoned, len(sink.errors())

    assert in_virtual_time(main) == (1, 2)


def test_evaluators_that_hang_do_not_stop_each_other(gate):
    def hangs(output):
        gate.wait()

    def fine(output):
        return True

    async def fine_too(output):
        return True

    results = evaluate([hangs, fine, fine_too], range(3), retries=0, timeout=2, concurrency=2)
    assert [row.error for row in results.evaluations if row.name == "hangs"] == [LONGER] * 3
    assert [row.score for row in results.evaluations if row.name != "hangs"] == [1.0] * 6


def test_the_timeout_is_each_attempts_own():
    seen = []

    async def task(x):
        seen.append(x)
        await asyncio.sleep(FOREVER_S if len(seen) < 3 else 0.9)
        return "third time"

    async def main(clock):
        engine, sink = engine_of(task, timeout=1, retries=3)
        await engine.run(run_items([1]))
        return sink.run()

    row = in_virtual_time(main)
    assert (row.output_json, row.attempts) == ('"third time"', 3)


def test_without_a_timeout_calls_take_their_time():
    results = run(lambda x: time.sleep(0.05) or x, [1], timeout=None)
    assert results.output() == 1

    async def task(x):
        await asyncio.sleep(0.05)
        return x

    assert run(task, [1], timeout=None).output() == 1
    assert evaluate(lambda output: time.sleep(0.05) or 1.0, timeout=None).evaluation().score == 1.0


def test_waiting_for_a_slot_is_not_part_of_the_timeout():
    async def task(x):
        await asyncio.sleep(30)
        return x

    async def main(clock):
        engine, sink = engine_of(task, concurrency=1, timeout=100, retries=0)
        await engine.run(run_items(range(4)))
        return sink

    assert in_virtual_time(main).outputs() == list(range(4))
    results = evaluate(lambda output: time.sleep(0.6) or 1.0, range(4), concurrency=1, timeout=2, retries=0)
    assert [row.error for row in results.evaluations] == [None] * 4


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["task", "judge"])
def test_the_process_can_end_although_a_thread_hangs(kind):
    script = f"""
        import asyncio, threading
        from tests.engine.harness import run, evaluate

        def hangs(x):
            threading.Event().wait()

        if {kind!r} == "task":
            print(run(hangs, timeout=0.2, retries=1).run().error)
        else:
            print(evaluate(hangs, timeout=0.2, retries=1).evaluation().error)
    """
    done = python(script)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "TimeoutError: no answer within timeout=0.2 s\n"


def test_evaluating_goes_on_while_one_hangs(gate):
    """Verdicts reach the sink while another evaluator's call is still being waited for."""

    def judge(output):
        if output == 0:
            gate.wait()
        return True

    async def main():
        engine, sink = engine_of(None, judge, timeout=PATIENCE_S, retries=0, concurrency=4)
        running = asyncio.create_task(engine.evaluate(evaluation_items(range(8), ["judge"])))
        while len(sink.evaluations) < 7 and not running.done():
            await asyncio.sleep(0.01)
        early = len(sink.evaluations)
        gate.set()
        await running
        return early, sink

    early, sink = asyncio.run(main())
    assert (early, len(sink.evaluations)) == (7, 8)
