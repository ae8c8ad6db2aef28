"""Rate limits as an experiment meets them: the task, its judges, and one provider behind them all."""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import threading
import time
from collections import Counter, deque

import httpx
import pytest

from prefect_experiments.engine import calls, limits
from prefect_experiments.engine.limits import STARVED_AFTER_S, RateLimit, shared_limit
from prefect_experiments.evaluators import create_evaluator
from support.patience import FOREVER_S

from .harness import InFlight, engine_of, evaluate, evaluation_items, run, run_items


class Busy(Exception):
    """A provider's refusal, as its client library raises it."""

    def __init__(self, text="slow down", *, retry_after=None, status_code=429):
        super().__init__(text)
        self.status_code = status_code
        if retry_after is not None:
            self.retry_after = retry_after


class NoStatus(Exception):
    pass


def refusing(times, error=Busy):
    """Refuses so many calls, then answers; and when it was called."""
    calls: list[float] = []
    lock = threading.Lock()

    def provider(x):
        with lock:
            calls.append(time.monotonic())
            refused = len(calls) <= times
        if refused:
            raise error()
        return x

    return provider, calls


def as_async(provider):
    async def call(x):
        await asyncio.sleep(0)
        return provider(x)

    return call


FORMS = pytest.mark.parametrize("form", [lambda f: f, as_async], ids=["sync", "async"])


@FORMS
def test_refusals_use_up_no_retry(form):
    provider, calls = refusing(3)
    row = run(form(provider), ["x"], retries=0).run()
    assert (row.error, row.attempts, len(calls)) == (None, 4, 4)


@FORMS
def test_nor_for_a_judge(form):
    provider, calls = refusing(3)
    assert evaluate({"judge": form(provider)}, ["x"], retries=0).evaluation().label == "x"
    assert len(calls) == 4


@FORMS
def test_named_errors_are_refusals_and_others_are_failures(form):
    provider, _ = refusing(2, NoStatus)
    assert run(form(provider), ["x"], retries=0, rate_limit_errors=(NoStatus,)).run().attempts == 3
    provider, _ = refusing(2, NoStatus)
    assert run(form(provider), ["x"], retries=0).run().error == "NoStatus"
    provider, _ = refusing(2, Busy)
    assert run(form(provider), ["x"], retries=0, rate_limit_errors=(NoStatus,)).run().error == "Busy: slow down"


def test_a_refusal_after_a_failure_does_not_count_as_one():
    outcomes = iter([ValueError, Busy, ValueError, Busy, Busy, None])

    def task(x):
        error = next(outcomes)
        if error:
            raise error()
        return x

    row = run(task, ["x"], retries=2).run()
    assert (row.error, row.attempts) == (None, 6)


def test_the_rate_is_cut_once_for_all_in_flight(monkeypatch):
    monkeypatch.setattr(limits, "OBSERVED_AT_LEAST_S", 0.2)
    rates = []

    async def task(x):
        first = len(rates) < 20
        rates.append(shared_limit("tests").rate)
        await asyncio.sleep(0.05)
        if first:
            raise Busy
        return x

    results = run(task, range(20), concurrency=20)
    assert not results.errors()
    assert {row.attempts for row in results.runs} == {2}
    # 20 starts in a fifth of a second are 100 a second; half of it, and not 50/2**20.
    assert 45 < rates[20] < 55
    assert rates[20:] == sorted(rates[20:])  # and growing from there


def test_a_server_error_only_stops_the_growth():
    async def task(x):
        if x == "first":
            raise Busy
        raise Busy(status_code=503)

    async def main():
        engine, sink = engine_of(task, retries=0, concurrency=1)
        limit = shared_limit("tests")
        limit.exceeded(time.monotonic(), None, 10_000.0)
        limit.exceeded(-1.0, None, 1.0)
        engine._limits.met.append(limit)
        before = limit.rate
        await engine.run(run_items(["second", "third"]))
        grown = limit.rate
        await asyncio.sleep(0.1)
        await limit.acquire()
        return sink, before, grown, limit.rate

    sink, before, grown, later = asyncio.run(main())
    assert sink.errors() == ["Busy: slow down"] * 2
    assert before <= grown < 1.05 * before  # not cut
    assert later == grown  # nor growing


def test_a_server_error_is_tried_again_and_uses_up_retries():
    provider, _ = refusing(2, lambda: Busy(status_code=503))
    assert run(provider, ["x"], retries=2).run().attempts == 3
    provider, _ = refusing(2, lambda: Busy(status_code=503))
    assert run(provider, ["x"], retries=1).run().error == "Busy: slow down"
    assert limits._shared == {}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("status", "grows"), [(None, True), (400, True), (499, True), (500, False), (503, False), (599, False)]
)
def test_the_growth_stops_for_the_providers_errors_alone(status, grows):
    """What a caller did wrong, and what carries no status, says nothing of the provider."""
    clock = Clock()
    limit = RateLimit("tests", clock)
    limit.exceeded(clock.now, 10.0, observed=20.0)
    clock.now += 10

    async def task(x):
        raise Busy(status_code=status)

    async def main():
        engine, sink = engine_of(task, retries=0)
        engine._limits.met.append(limit)
        await engine.run(run_items(["x"]))
        return sink

    assert asyncio.run(main()).errors() == ["Busy: slow down"]
    clock.now += 2
    assert (limit.known().rate > 10.0) is grows


def http_error(status, value):
    request = httpx.Request("POST", "https://api.provider.test/v1/chat")
    response = httpx.Response(status, headers={"Retry-After": value}, request=request)
    return httpx.HTTPStatusError(f"status {status}", request=request, response=response)


def sync(provider):
    return provider


@pytest.mark.parametrize(
    ("form", "error", "seconds"),
    [
        (sync, lambda: Busy(retry_after=0.3), 0.3),
        (as_async, lambda: Busy(retry_after=0.3), 0.3),
        (as_async, lambda: http_error(429, "1"), 1),
        (sync, lambda: http_error(503, "0.4"), 0.4),
        (as_async, lambda: http_error(429, email.utils.formatdate(time.time() + 2, usegmt=True)), 1),
    ],
    ids=["attribute", "attribute-async", "seconds", "server", "date"],
)
def test_retry_after_is_honoured(form, error, seconds):
    provider, calls = refusing(1, error)
    row = run(form(provider), ["x"], retries=1).run()
    assert (row.error, row.attempts) == (None, 2)
    assert calls[1] - calls[0] >= seconds


def test_nobody_calls_the_provider_before_retry_after_is_over():
    """The task is refused; until the provider's time is over neither the task nor any judge calls it."""
    wait = 0.6
    refused: list[float] = []
    began: list[tuple[str, float]] = []

    def provider(who):
        began.append((who, time.monotonic()))
        if who == "task" and sum(w == "task" for w, _ in began) == 15:
            refused.append(time.monotonic())
            raise Busy(retry_after=wait)

    async def task(x):
        provider("task")
        await asyncio.sleep(0.01)

    async def judge(output):
        provider("async judge")
        await asyncio.sleep(0.01)

    @create_evaluator(kind="LLM")
    def sync_judge(output):
        provider("sync judge")
        time.sleep(0.01)

    async def main():
        engine, sink = engine_of(task, [judge, sync_judge], concurrency=5)
        items = evaluation_items(range(40), ["judge", "sync_judge"])
        batches = [engine.run(run_items(range(40))), engine.evaluate(items[:20]), engine.evaluate(items[20:])]
        await asyncio.gather(*batches)
        return sink

    sink = asyncio.run(main())
    assert (len(sink.runs), len(sink.evaluations)) == (40, 80)
    assert not sink.errors()
    assert len(refused) == 1
    assert {who for who, when in began if when > refused[0] + wait} == {"task", "async judge", "sync judge"}
    early = [who for who, when in began if refused[0] < when < refused[0] + wait]
    assert len(early) <= 5, "no more than were on their way"


def test_a_judges_refusal_holds_for_the_task():
    wait = 0.5
    refused: list[float] = []
    began: list[float] = []

    async def task(x):
        began.append(time.monotonic())
        await asyncio.sleep(0.02)

    async def judge(output):
        if not refused:
            refused.append(time.monotonic())
            raise Busy(retry_after=wait)

    async def main():
        engine, _ = engine_of(task, judge, concurrency=2)
        await asyncio.gather(engine.run(run_items(range(10))), engine.evaluate(evaluation_items(["x"], ["judge"])))

    asyncio.run(main())
    assert len(began) == 10
    early = [when for when in began if refused[0] < when < refused[0] + wait]
    assert len(early) <= 2, "no more than were on their way"


def test_a_sync_judges_refusal_stops_the_rest_at_once():
    """One refusal, and not one for each of the examples, before anything slows down."""
    began: list[float] = []
    wait = 0.4

    def judge(output):
        began.append(time.monotonic())
        time.sleep(0.003)
        if began[0] + 0.01 < time.monotonic() < began[0] + wait:
            raise Busy(retry_after=wait)
        return True

    results = evaluate(judge, range(60), concurrency=4, retries=0)
    assert [row.score for row in results.evaluations] == [1.0] * 60
    assert len(began) <= 60 + 12
    assert max(b - a for a, b in itertools.pairwise(began)) > 0.35


def test_experiments_at_once_share_the_limit():
    began: list[float] = []
    refused: list[float] = []

    async def provider(x):
        began.append(time.monotonic())
        await asyncio.sleep(0.005)
        if len(began) in (10, 11, 12) and not refused:
            refused.append(time.monotonic())
            raise Busy(retry_after=0.4)

    async def main():
        engines = [engine_of(provider, concurrency=2)[0] for _ in range(2)]
        await asyncio.gather(*(engine.run(run_items(range(20))) for engine in engines))

    asyncio.run(main())
    assert len(began) == 40 + len(refused)
    assert [limit.name for limit in limits._shared.values()] == ["tests"]


def test_another_providers_judge_is_not_slowed_by_its_own_limit_twice():
    """Once a judge has met its own provider's limit, the task's is no longer its business."""
    task_calls, judge_calls = InFlight(), InFlight()

    async def task(x):
        with task_calls.call():
            raise http_error(429, str(FOREVER_S))

    async def judge(output):
        with judge_calls.call():
            if len(judge_calls.starts) == 1:
                raise Busy
            return True

    async def main():
        engine, sink = engine_of(task, judge, concurrency=1)
        await engine.evaluate(evaluation_items(range(3), ["judge"]))
        running = asyncio.create_task(engine.run(run_items([1])))
        while not task_calls.starts or task_calls.now:
            await asyncio.sleep(0.01)
        await engine.evaluate(evaluation_items(range(3), ["judge"]))
        assert not running.done()
        running.cancel()
        return sink

    assert len(asyncio.run(main()).evaluations) == 6


def test_a_wall_is_an_error_and_not_an_endless_wait(monkeypatch):
    monkeypatch.setattr(limits, "STARVED_AFTER_S", 0.3)

    async def task(x):
        raise Busy("quota used up")

    results = run(task, range(6), concurrency=3)
    assert results.errors() == ["Busy: quota used up"] * 6


class Skipping:
    """The time, of which a test can let some pass at once."""

    time = staticmethod(time.time)

    def __init__(self) -> None:
        self.skipped = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.skipped


@FORMS
def test_what_has_come_through_since_is_the_end_of_a_wall(monkeypatch, form):
    """Refused now and refused long ago, and answered in between: that is a busy provider, and no used-up quota."""
    clock = Skipping()
    monkeypatch.setattr(calls, "time", clock)
    monkeypatch.setattr(limits, "_shared", {"tests": RateLimit("tests", clock.monotonic)})
    made = []

    def provider(x):
        made.append(x)
        if made == [0, 0, 1]:
            clock.skipped += STARVED_AFTER_S + 1
        if made in ([0], [0, 0, 1]):
            raise Busy
        return x

    assert run(form(provider), range(2), concurrency=1, retries=0).outputs() == [0, 1]
    assert made == [0, 0, 1, 1]


@pytest.mark.thorough
def test_a_call_is_given_up_ten_minutes_after_its_first_refusal_though_others_pass(monkeypatch):
    clock = Skipping()
    monkeypatch.setattr(calls, "time", clock)
    monkeypatch.setattr(limits, "_shared", {"tests": RateLimit("tests", clock.monotonic)})
    refused = [asyncio.Event() for _ in range(10)]
    made = []

    async def task(x):
        if x != "too large":
            await refused[x].wait()  # so that one call is answered between any two refusals
            return x
        made.append(x)
        clock.skipped += STARVED_AFTER_S / 10 + 1
        if len(made) <= len(refused):
            refused[len(made) - 1].set()
        raise Busy

    results = run(task, ["too large", *range(10)], concurrency=2, retries=0)
    assert results.errors() == ["Busy: slow down"]
    assert results.run(0).attempts == len(made) == 11


def test_one_row_that_is_always_refused_does_not_hold_up_the_experiment_for_ever(monkeypatch):
    monkeypatch.setattr(limits, "STARVED_AFTER_S", 0.25)
    monkeypatch.setattr(limits, "SLOWEST", 20.0)

    async def task(x):
        if x == 3:
            raise Busy("request too large")
        await asyncio.sleep(0.01)
        return x

    results = run(task, range(40), concurrency=4)
    assert results.errors() == ["Busy: request too large"]
    assert results.run(3).attempts > 1


class Provider:
    """Lets so many calls a second through, counted in a sliding second, and refuses the others."""

    def __init__(self, per_second: int, latency: float) -> None:
        self.per_second, self.latency = per_second, latency
        self.let_through: deque[float] = deque()
        self.refusals = 0
        self.answered: Counter[object] = Counter()

    async def __call__(self, x):
        await asyncio.sleep(self.latency / 2)
        now = time.monotonic()
        while self.let_through and self.let_through[0] <= now - 1:
            self.let_through.popleft()
        if len(self.let_through) >= self.per_second:
            self.refusals += 1
            raise Busy
        self.let_through.append(now)
        await asyncio.sleep(self.latency / 2)
        self.answered[x] += 1
        return x


@pytest.mark.thorough
def test_a_provider_of_20_calls_a_second(monkeypatch):
    monkeypatch.setattr(limits, "OBSERVED_AT_LEAST_S", 1.0)
    monkeypatch.setattr(limits, "COOL_DOWN_S", 1.0)
    provider = Provider(20, 0.05)
    results = run(provider, range(60), concurrency=20, retries=0)
    assert not results.errors()
    assert provider.answered == Counter(range(60))  # nothing is paid for twice
    assert provider.refusals <= 60
