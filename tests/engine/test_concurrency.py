"""At most `concurrency` calls under way and undurable, whatever the task, the evaluators and the batches."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.engine import CallPolicy, Engine
from prefect_experiments.engine.engine import _was_paid
from prefect_experiments.engine.threads import Threads
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.evaluators import create_evaluator, resolve_evaluators
from support.patience import FOREVER_S
from tests.store.samples import verdict

from .harness import InFlight, ListSink, Timer, engine_of, evaluate, evaluation_items, in_virtual_time, run, run_items

CALL_S = 0.1
JUDGE_S = 0.05


def blocking(in_flight, seconds):
    def task(input):
        with in_flight.call():
            time.sleep(seconds)
            return input

    return task


def awaiting(in_flight, seconds):
    async def task(input):
        with in_flight.call():
            await asyncio.sleep(seconds)
            return input

    return task


@pytest.mark.parametrize("make", [blocking, awaiting])
def test_a_hundred_calls_of_100_ms_take_a_second_at_concurrency_10(make):
    in_flight = InFlight()
    with Timer() as timer:
        results = run(make(in_flight, CALL_S), range(100), concurrency=10)
    assert results.outputs() == list(range(100))
    assert in_flight.most == 10
    assert timer.seconds > 0.9


@pytest.mark.parametrize("make", [blocking, awaiting])
def test_batches_at_once_share_the_limit(make):
    in_flight = InFlight()

    async def main():
        engine, sink = engine_of(make(in_flight, 0.02), concurrency=7)
        items = run_items(range(100))
        await asyncio.gather(*(engine.run(items[start::5]) for start in range(5)))
        return sink

    sink = asyncio.run(main())
    assert sink.outputs() == list(range(100))
    assert in_flight.most == 7


@pytest.mark.parametrize("make", [blocking, awaiting])
def test_judges_run_as_many_at_once(make):
    in_flight = InFlight()
    judge = make(in_flight, JUDGE_S)  # told only by the call whether it is async
    with Timer() as timer:
        results = evaluate(lambda output: judge(output), range(100), concurrency=10)
    assert {row.score for row in results.evaluations} == set(range(100))
    assert in_flight.most == 10
    assert timer.seconds > 0.45


def test_an_async_judge_written_as_a_function_runs_as_many_at_once():
    in_flight = InFlight()

    async def judge(output):
        with in_flight.call():
            await asyncio.sleep(JUDGE_S)
            return True

    with Timer() as timer:
        results = evaluate(judge, range(100), concurrency=10)
    assert {row.label for row in results.evaluations} == {"True"}
    assert in_flight.most == 10
    assert timer.seconds > 0.45


def test_all_evaluators_together_keep_to_the_limit():
    in_flight = InFlight()

    def sync_judge(output):
        with in_flight.call():
            time.sleep(0.01)

    async def async_judge(output):
        with in_flight.call():
            await asyncio.sleep(0.01)

    async def main():
        engine, sink = engine_of(None, [sync_judge, async_judge], concurrency=5)
        items = evaluation_items(range(60), ["sync_judge", "async_judge"])
        await asyncio.gather(*(engine.evaluate(items[start::3]) for start in range(3)))
        return sink

    assert len(asyncio.run(main()).evaluations) == 120
    assert in_flight.most == 5


def test_the_task_and_the_evaluators_run_side_by_side():
    tasks, judges = InFlight(), InFlight()

    async def judge(output):
        with judges.call():
            await asyncio.sleep(0.05)

    async def main(clock):
        engine, _ = engine_of(awaiting(tasks, 0.05), judge, concurrency=4)
        await asyncio.gather(engine.run(run_items(range(20))), engine.evaluate(evaluation_items(range(20), ["judge"])))
        return clock()

    assert in_virtual_time(main) == pytest.approx(0.25)  # not 0.5, as one after the other would be
    assert (tasks.most, judges.most) == (4, 4)


@pytest.mark.parametrize("make", [blocking, awaiting])
@pytest.mark.parametrize("concurrency", [1, 3, 10])
def test_never_more_than_concurrency_results_are_not_durable_yet(make, concurrency):
    in_flight = InFlight()

    class SlowSink(ListSink):
        undurable = 0

        async def write_run(self, row):
            self.undurable = max(self.undurable, len(in_flight.starts) - len(self.runs))
            await asyncio.sleep(0.003)
            self.undurable = max(self.undurable, len(in_flight.starts) - len(self.runs))
            self.runs.append(row)

    sink = SlowSink()

    async def main():
        engine, _ = engine_of(make(in_flight, 0.002), sink=sink, concurrency=concurrency)
        items = run_items(range(40))
        await asyncio.gather(engine.run(items[::2]), engine.run(items[1::2]))

    asyncio.run(main())
    assert len(sink.runs) == 40
    assert 1 <= sink.undurable <= concurrency


def test_a_sink_that_is_stuck_stops_the_calls():
    in_flight = InFlight()

    class StuckSink(ListSink):
        async def write_run(self, row):
            await asyncio.Event().wait()

    async def main():
        engine, _ = engine_of(awaiting(in_flight, 0), sink=StuckSink(), concurrency=4)
        running = [asyncio.create_task(engine.run(run_items(range(50)))) for _ in range(2)]
        await asyncio.sleep(0.1)
        for batch in running:
            batch.cancel()
        assert all(
            isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(*running, return_exceptions=True)
        )

    asyncio.run(main())
    assert len(in_flight.starts) == 4


@pytest.mark.parametrize(
    ("kind", "quick", "is_kept"), [("CODE", True, False), ("CODE", False, True), ("LLM", True, True)]
)
def test_what_a_judge_was_paid_for_is_durable_before_its_slot_is_free(monkeypatch, kind, quick, is_kept):
    """Or took as long as one that is paid; what a quick function has said is soon said again."""

    class Sink(ListSink):
        flushed = 0

        async def flush(self):
            self.flushed += 1

    @create_evaluator(kind=kind, name="judge")
    def judge(output):
        return 1.0

    # On a busy machine a quick function takes long as well.
    monkeypatch.setattr("prefect_experiments.engine.engine.REACHES_OUT_S", FOREVER_S if quick else 0.0)
    sink = Sink()
    assert evaluate(judge, ["a"], sink=sink).evaluation().score == 1.0
    assert bool(sink.flushed) is is_kept


@pytest.mark.parametrize(
    ("kind", "seconds", "is_paid"),
    [("CODE", 0.019, False), ("CODE", 0.02, True), ("LLM", 0.0, True), ("HUMAN", 0.0, True)],
)
def test_a_function_of_20_ms_may_have_asked_somebody_who_is_paid(kind, seconds, is_paid):
    assert _was_paid(verdict(0, annotator_kind=kind, start_time=0.0, end_time=seconds)) is is_paid


def test_quick_evaluators_are_called_one_after_the_other(monkeypatch):
    """More threads would only wait for one another, as Python runs one at a time."""
    monkeypatch.setattr("prefect_experiments.engine.dispatch.SLICE_S", 0.0)  # what is learned counts for the next call
    # On a busy machine a quick function takes long as well.
    monkeypatch.setattr("prefect_experiments.engine.dispatch.OVERDUE_S", FOREVER_S)
    monkeypatch.setattr("prefect_experiments.engine.dispatch.BLOCKING_S", FOREVER_S)
    in_flight = InFlight()
    judge = blocking(in_flight, 0.001)
    evaluate(lambda output: judge(output), range(100), concurrency=8)
    assert (len(in_flight.starts), in_flight.most) == (100, 1)


def test_an_evaluator_is_tried_in_one_batch_before_any_other(monkeypatch):
    """Where a limit is shared with the task: it may be a provider that is called, of which nothing is known yet."""
    monkeypatch.setattr("prefect_experiments.engine.dispatch.OVERDUE_S", FOREVER_S)
    in_flight = InFlight()
    judge = blocking(in_flight, 0.05)

    async def main():
        evaluators, sink = resolve_evaluators({"judge": lambda output: judge(output)}), ListSink()
        engine = Engine(None, evaluators, sink=sink, concurrency=4, policy=CallPolicy(), one_pool=True)
        items = evaluation_items(["a", "b"], ["judge"])
        await asyncio.gather(engine.evaluate(items[:1]), engine.evaluate(items[1:]))
        return len(sink.evaluations)

    assert asyncio.run(main()) == 2
    assert in_flight.most == 1


def test_threads_are_used_again():
    names: set[str] = set()

    def task(input):
        import threading

        names.add(threading.current_thread().name)
        time.sleep(0.001)

    run(task, range(200), concurrency=5)
    assert len(names) <= 10


def test_each_call_has_a_copy_of_the_context():
    import contextvars

    variable = contextvars.ContextVar("variable", default="unset")

    def task(input):
        seen = variable.get()
        variable.set(f"changed by {input}")
        return seen

    async def main():
        variable.set("of the caller")
        engine, sink = engine_of(task, concurrency=1)
        await engine.run(run_items(range(3)))
        return sink.outputs()

    assert asyncio.run(main()) == ["of the caller"] * 3


def test_sync_calls_one_after_the_other_need_one_thread():
    async def main():
        threads = Threads()
        return {await (await threads.submit(threading.get_ident)) for _ in range(20)}

    assert len(asyncio.run(main())) == 1


def test_repetitions_are_runs_of_their_own():
    results = run(lambda x: x, ["a", "b"], repetitions=3)
    assert sorted((row.position, row.repetition_number) for row in results.runs) == [
        (position, repetition) for position in (0, 1) for repetition in (1, 2, 3)
    ]
    assert {row.attempts for row in results.runs} == {1}


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 12), max_size=4),
    concurrency=st.integers(1, 6),
    is_async=st.booleans(),
)
def test_every_item_is_run_and_written_once(sizes, concurrency, is_async):
    in_flight = InFlight()

    async def main():
        make = awaiting if is_async else blocking
        engine, sink = engine_of(make(in_flight, 0), sink=ListSink(), concurrency=concurrency)
        items = run_items(range(sum(sizes)))
        starts = [sum(sizes[:n]) for n in range(len(sizes))]
        await asyncio.gather(*(engine.run(items[s : s + size]) for s, size in zip(starts, sizes, strict=True)))
        return engine, sink

    engine, sink = asyncio.run(main())
    assert sink.outputs() == list(range(sum(sizes)))
    assert in_flight.most <= concurrency
    assert (engine.runs_done, engine.run_errors) == (sum(sizes), 0)


def test_nearly_done_comes_before_the_slots_stand_empty():
    in_flight = InFlight()
    started_when_called: list[int] = []

    async def main():
        engine, _ = engine_of(awaiting(in_flight, 0.005), concurrency=4)
        await engine.run(run_items(range(20)), lambda: started_when_called.append(len(in_flight.starts)))
        await engine.run([], lambda: started_when_called.append(-1))

    asyncio.run(main())
    assert started_when_called[0] in range(12, 17)
    assert started_when_called[-1] == -1  # an empty batch has nothing to wait for


def test_times_are_those_of_the_call():
    before = time.time()
    row = run(lambda x: time.sleep(0.05)).run()
    assert before <= row.start_time
    assert row.end_time - row.start_time >= 0.05
    assert row.end_time <= time.time() + 0.01


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, "10", None])
def test_a_concurrency_that_makes_no_sense_is_refused(concurrency):
    with pytest.raises(InvalidSetting, match="concurrency must be a whole number of at least 1, got"):
        Engine(None, sink=ListSink(), concurrency=concurrency)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "timeout must be above 0 seconds"),
        ({"timeout": -1}, "timeout must be above 0 seconds"),
        ({"timeout": float("nan")}, "timeout must be above 0 seconds"),
        ({"timeout": "60"}, "timeout must be above 0 seconds .* got '60'"),
        ({"timeout": True}, "timeout must be above 0 seconds"),
        ({"retries": -1}, "retries must be a whole number of at least 0, got -1"),
        ({"retries": 1.5}, "retries must be"),
        ({"retries": True}, "retries must be"),
        ({"rate_limit_errors": "RateLimitError"}, "rate_limit_errors takes exception classes, got 'RateLimitError'"),
        ({"rate_limit_errors": [ValueError, 429]}, "rate_limit_errors takes exception classes, got 429"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options, said):
    with pytest.raises(InvalidSetting, match=said):
        CallPolicy(**options)


def test_an_engine_without_a_task_says_so():
    async def main():
        engine, _ = engine_of(None)
        await engine.run(run_items([1]))

    with pytest.raises(InvalidSetting, match="no task to run"):
        asyncio.run(main())
