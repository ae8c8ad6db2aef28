"""One rate limit, by a clock of the test's own."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import itertools
import math
import time
import types

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.engine import CallPolicy, limits
from prefect_experiments.engine.limits import (
    CUT,
    GROWTH_PAUSE_S,
    LONGEST_RETRY_AFTER_S,
    SLOWEST,
    STARVED_AFTER_S,
    ActiveLimits,
    RateLimit,
    provider_of,
    retry_after_of,
    shared_limit,
    status_of,
)
from support.zones import in_zone

from .harness import in_virtual_time

REALLY = limits.COOL_DOWN_S, limits.OBSERVED_AT_LEAST_S  # which `conftest.quick` makes short


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def starts_of(function):
    """The virtual times at which calls started, as ``async def function(limit, start, clock)`` has it."""

    async def main(clock):
        limit = RateLimit("provider", clock)
        starts: list[float] = []

        async def start() -> None:
            await limit.acquire()
            starts.append(clock())

        await function(limit, start, clock)
        return starts

    return in_virtual_time(main)


# --- what it does to the starts of calls ------------------------------------------------------


def test_without_a_refusal_nobody_waits():
    async def calls(limit, start, clock):
        await asyncio.gather(*(start() for _ in range(1000)))

    assert set(starts_of(calls)) == {0.0}


def test_after_a_cut_starts_are_spread_evenly():
    async def calls(limit, start, clock):
        limit.exceeded(clock(), None, observed=20.0)
        await asyncio.gather(*(start() for _ in range(20)))

    starts = starts_of(calls)
    assert starts == sorted(starts)
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    assert starts[0] == limits.COOL_DOWN_S
    assert all(0.05 < gap <= 0.1 + 1e-9 for gap in gaps)  # 10 a second, growing


@settings(max_examples=25, deadline=None)
@given(age=st.floats(0, 100), waiting=st.integers(2, 12))
def test_a_late_refusal_of_a_call_from_before_the_cut_frees_no_starts(age, waiting):
    async def calls(limit, start, clock):
        await asyncio.sleep(100)
        limit.exceeded(clock(), None, observed=4.0)
        first = [asyncio.create_task(start()) for _ in range(waiting)]
        await asyncio.sleep(0.3)
        limit.exceeded(100 - age if age else 99.9, None, observed=4.0)
        await asyncio.gather(*first, *(start() for _ in range(waiting)))

    starts = sorted(starts_of(calls))
    most = 2.0 * math.exp(0.05 * (starts[-1] - 100))
    assert all(b - a >= 1 / most - 1e-6 for a, b in itertools.pairwise(starts))


def test_a_cut_makes_those_who_wait_wait_longer():
    async def calls(limit, start, clock):
        limit.exceeded(clock(), None, observed=20.0)
        waiting = [asyncio.create_task(start()) for _ in range(10)]
        await asyncio.sleep(0.25)
        limit.exceeded(clock(), None, observed=2.0)  # 5 a second now
        await asyncio.gather(*waiting)

    starts = starts_of(calls)
    assert sum(start <= 0.25 for start in starts) == 3
    later = [start for start in starts if start > 0.25]
    assert all(b - a > 0.15 for a, b in itertools.pairwise(later))


def test_a_cut_after_a_pause_is_to_half_the_rate_and_not_of_what_was_seen():
    async def main(clock):
        limit = RateLimit("provider", clock)
        limit.exceeded(clock(), 4.0, observed=100.0)
        assert limit.rate == 50.0
        await limit.acquire()
        limit.exceeded(clock(), 4.0, observed=1.0)  # one call since the pause began
        assert limit.rate == pytest.approx(25.0)
        await asyncio.sleep(30)
        limit.exceeded(clock(), None, observed=10.0)
        assert limit.rate == 5.0

    in_virtual_time(main)


def test_growth_is_for_those_who_wait_already():
    async def calls(limit, start, clock):
        limit.exceeded(clock(), None, observed=2.0)
        await asyncio.gather(*(start() for _ in range(60)))

    assert starts_of(calls)[-1] < 35  # 59 without growth


def test_after_a_long_idle_time_starts_do_not_come_in_a_burst():
    async def calls(limit, start, clock):
        limit.exceeded(clock(), None, observed=20.0)
        limit.server_failed()
        await asyncio.sleep(4)
        await asyncio.gather(*(start() for _ in range(5)))

    starts = starts_of(calls)
    assert starts[-1] - starts[0] > 0.3


@settings(max_examples=30, deadline=None)
@given(retry_after=st.floats(0.1, 500), before=st.integers(0, 5), after=st.integers(1, 5))
def test_nobody_starts_before_retry_after_is_over(retry_after, before, after):
    async def calls(limit, start, clock):
        limit.exceeded(clock(), None, observed=1000.0)
        waiting = [asyncio.create_task(start()) for _ in range(before)]
        limit.exceeded(-1.0, retry_after, observed=1000.0)
        await asyncio.gather(*waiting, *(start() for _ in range(after)))

    starts = starts_of(calls)
    assert len(starts) == before + after
    assert min(starts) >= retry_after


def test_retry_after_ends_when_it_ends():
    async def calls(limit, start, clock):
        limit.exceeded(clock(), 10.0, observed=100.0)
        await start()
        await start()

    assert starts_of(calls)[0] == pytest.approx(10.0, abs=0.1)


def test_an_absurd_retry_after_is_cut_down():
    async def calls(limit, start, clock):
        limit.exceeded(clock(), 1e9, observed=100.0)
        await start()

    assert starts_of(calls)[0] == pytest.approx(LONGEST_RETRY_AFTER_S, abs=0.1)


def test_the_rate_does_not_grow_while_nothing_is_tried():
    async def calls(limit, start, clock):
        limit.exceeded(clock(), 100.0, observed=20.0)
        await asyncio.gather(*(start() for _ in range(5)))

    starts = starts_of(calls)
    assert starts[-1] - starts[0] == pytest.approx(0.4, rel=0.1)


# --- what happens to the rate -----------------------------------------------------------------

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 100)),
        st.tuples(st.just("start"), st.just(0.0)),
        st.tuples(st.just("succeeded"), st.just(0.0)),
        st.tuples(st.just("server"), st.just(0.0)),
        st.tuples(
            st.just("refused"),
            st.tuples(st.floats(0, 50), st.none() | st.floats(0, 1e6), st.floats(0, 1e4)),
        ),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_the_rate_through_anything(events):
    async def main(clock):
        limit = RateLimit("provider", clock)
        cut_at, no_growth_before, paused_until = -math.inf, 0.0, 0.0
        for event, value in events:
            rate = limit.rate
            if event == "wait":
                await asyncio.sleep(value)
            elif event == "start":
                began = clock()
                await limit.acquire()
                if rate == math.inf:
                    assert clock() == began
                assert clock() >= paused_until
                # Growth, and only outside the pauses: 5 % for each second.
                assert rate <= limit.rate <= rate * math.exp(0.05 * max(0.0, clock() - no_growth_before)) * (1 + 1e-9)
            elif event == "succeeded":
                limit.succeeded()
            elif event == "server":
                limit.server_failed()
                if rate == math.inf:
                    assert limit.rate == math.inf
                no_growth_before = max(no_growth_before, clock() + GROWTH_PAUSE_S)
            else:
                age, retry_after, observed = value
                limit.exceeded(clock() - age, retry_after, observed)
                if clock() - age < cut_at:
                    assert limit.rate == rate  # was under way when the rate was cut: says nothing new
                else:
                    assert limit.rate in [max(SLOWEST, CUT * least) for least in (rate, min(rate, observed))]
                    cut_at = clock()
                    no_growth_before = max(no_growth_before, clock() + (0 if retry_after else limits.COOL_DOWN_S))
                wait = min(retry_after, LONGEST_RETRY_AFTER_S) if retry_after else 0
                paused_until, no_growth_before = (
                    max(paused_until, clock() + wait),
                    max(no_growth_before, clock() + wait),
                )
            assert limit.rate >= SLOWEST

    in_virtual_time(main)


def test_a_server_error_stops_the_growth_for_a_while():
    async def main(clock):
        limit = RateLimit("provider", clock)
        limit.exceeded(clock(), None, observed=20.0)
        limit.server_failed()
        await asyncio.sleep(GROWTH_PAUSE_S)
        await limit.acquire()
        assert limit.rate == 10.0
        await asyncio.sleep(1)
        await limit.acquire()
        assert limit.rate == pytest.approx(10.5)

    in_virtual_time(main)


# --- the numbers, as a user meets them --------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """With the limits' real numbers."""
    monkeypatch.setattr(limits, "COOL_DOWN_S", REALLY[0])
    monkeypatch.setattr(limits, "OBSERVED_AT_LEAST_S", REALLY[1])
    return Clock()


def test_half_as_fast_after_a_second_and_then_five_percent_more_a_second(clock):
    limit = RateLimit("provider", clock)
    limit.exceeded(clock.now, None, observed=20.0)
    assert (limit.rate, limit.wait) == (10.0, 1.0)
    clock.now += 1
    assert limit.known().rate == 10.0
    clock.now += 1
    assert limit.known().rate == pytest.approx(10.5)
    limit.server_failed()
    clock.now += 5
    assert limit.known().rate == pytest.approx(10.5)
    clock.now += 1
    assert limit.known().rate == pytest.approx(11.025)


def test_never_slower_than_a_call_in_ten_seconds(clock):
    limit = RateLimit("provider", clock)
    for _ in range(20):
        clock.now += 1
        limit.exceeded(clock.now, None, observed=1.0)
    assert limit.rate == 0.1


@pytest.mark.parametrize(("asked", "waited"), [(0.25, 0.25), (599, 599), (600, 600), (601, 600), (1e9, 600)])
def test_what_the_provider_asks_for_is_waited_for_up_to_ten_minutes(clock, asked, waited):
    limit = RateLimit("provider", clock)
    limit.exceeded(clock.now, asked, observed=1000.0)
    assert limit.wait == waited


@pytest.mark.parametrize(("late", "next_in"), [(0.0, 0.1), (0.01, 0.09), (0.02, 0.08), (30.0, 0.08)])
def test_a_start_that_comes_a_little_late_costs_no_rate(clock, late, next_in):
    """Timers are late by up to 20 ms; what is later was not waited for."""
    limit = RateLimit("provider", clock)
    limit.exceeded(clock.now, 40.0, observed=20.0)
    limit.server_failed()  # or it grows meanwhile
    clock.now += 40.0
    limit.server_failed()
    clock.now += late
    limit.server_failed()
    asyncio.run(limit.acquire())
    assert limit.rate == pytest.approx(10.0, rel=0.02) if late < 30 else limit.rate > 10.0
    assert limit.wait == pytest.approx(next_in if late < 30 else 1 / limit.rate - 0.02, abs=1e-3)


@pytest.mark.parametrize(("since_pause", "rate"), [(4.9, 25.0 * (1 + 0.05 * 4.9)), (5.0, 0.5)])
def test_what_is_seen_within_five_seconds_of_a_pause_says_little(clock, since_pause, rate):
    limit = RateLimit("provider", clock)
    limit.exceeded(clock.now, 4.0, observed=100.0)
    clock.now += 4.0
    limit.known()
    clock.now += since_pause
    limit.known()
    limit.exceeded(clock.now, None, observed=1.0)
    assert limit.rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("ago", "rate"), [((5.0, 4.0), 0.2), ((5.25, 4.0), 0.125), ((0.5, 0.25), 1.0), ((1.0,) * 6, 3.0), ((2.0,) * 6, 1.5)]
)
def test_the_rate_that_is_halved_is_that_of_the_last_five_seconds(clock, ago, rate):
    """Of one at least: a burst is a second's worth."""
    active = ActiveLimits(clock)
    active.note_starts(clock.now - seconds for seconds in ago)
    assert active.exceeded(RuntimeError(), clock.now - 0.25).rate == rate


def test_ten_minutes_without_a_success_are_a_wall(clock):
    limit = RateLimit("provider", clock)
    first = clock.now
    limit.exceeded(first, None, 10.0)
    clock.now += 600
    assert not limit.is_starved(first)
    clock.now += 0.5
    assert limit.is_starved(first)


@pytest.mark.parametrize(("apart", "is_wall"), [(1200.0, True), (1200.5, False)])
def test_refusals_more_than_twenty_minutes_apart_have_nothing_to_do_with_each_other(clock, apart, is_wall):
    limit = RateLimit("provider", clock)
    limit.exceeded(clock.now, None, 10.0)
    clock.now += apart
    limit.exceeded(clock.now, None, 10.0)
    assert limit.is_starved(clock.now) is is_wall


# --- giving up --------------------------------------------------------------------------------


def test_it_is_starved_when_nothing_comes_through_for_long():
    clock = Clock()
    limit = RateLimit("provider", clock)
    limit.succeeded()
    clock.now += 10 * STARVED_AFTER_S  # an hour between two experiments is no hour of refusals
    limit.exceeded(clock.now, None, 10.0)
    first = clock.now
    assert not limit.is_starved(first)
    clock.now += STARVED_AFTER_S - 1
    limit.exceeded(clock.now, None, 10.0)
    assert not limit.is_starved(first)
    clock.now += 2
    limit.exceeded(clock.now, None, 10.0)
    assert limit.is_starved(first)
    assert limit.is_starved(clock.now)  # another call need not wait as long to know
    limit.succeeded()
    assert not limit.is_starved(clock.now)


def test_a_call_that_is_always_refused_is_given_up_though_others_pass():
    clock = Clock()
    limit = RateLimit("provider", clock)
    first = clock.now
    for _ in range(100):
        limit.exceeded(clock.now, None, 10.0)
        clock.now += STARVED_AFTER_S / 90
        limit.succeeded()
    assert limit.is_starved(first)
    assert not limit.is_starved(clock.now - 1)


def test_a_wall_is_run_against_without_spreading_the_calls_and_soon_forgotten():
    async def main(clock):
        limit = RateLimit("provider", clock)
        for _ in range(20):
            limit.exceeded(clock(), 40.0, observed=1.0)
            await asyncio.sleep(40)
        assert limit.rate == pytest.approx(SLOWEST, rel=0.1)
        assert limit.is_starved(clock())
        began = clock()
        await asyncio.gather(*(limit.acquire() for _ in range(100)))
        assert clock() == began
        limit.succeeded()
        await limit.acquire()
        await limit.acquire()
        assert clock() - began <= 1 / SLOWEST

    in_virtual_time(main)


def test_refusals_of_another_day_do_not_count():
    clock = Clock()
    limit = RateLimit("provider", clock)
    limit.exceeded(clock.now, None, 10.0)
    clock.now += 86_400
    limit.exceeded(clock.now, None, 10.0)
    assert not limit.is_starved(clock.now)


def test_a_pause_the_provider_asked_for_is_no_starvation():
    clock = Clock()
    limit = RateLimit("provider", clock)
    first = clock.now
    limit.exceeded(clock.now, LONGEST_RETRY_AFTER_S, 10.0)
    clock.now += LONGEST_RETRY_AFTER_S + 1
    limit.exceeded(clock.now, LONGEST_RETRY_AFTER_S, 10.0)
    assert not limit.is_starved(first)


# --- the limits of one experiment -------------------------------------------------------------


def test_the_rate_is_cut_to_half_of_what_was_seen(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(limits, "OBSERVED_AT_LEAST_S", 1.0)
    active = ActiveLimits(clock)
    for _ in range(50):
        active.note_start()
        clock.now += 0.1
    limit = active.exceeded(RuntimeError(), clock.now - 0.1)
    assert limit.rate == pytest.approx(5.0, rel=0.1)
    assert active.met == [limit]
    assert active.exceeded(RuntimeError(), clock.now - 0.1) is limit
    assert active.met == [limit]


def test_slow_calls_are_not_taken_for_few():
    clock = Clock()
    active = ActiveLimits(clock)
    started = clock.now
    for _ in range(30):
        active.note_start()
    clock.now += 30  # all of them are refused after half a minute
    assert active.exceeded(RuntimeError(), started).rate == pytest.approx(0.5)


def test_a_burst_is_a_seconds_worth(monkeypatch):
    monkeypatch.setattr(limits, "OBSERVED_AT_LEAST_S", 1.0)
    clock = Clock()
    active = ActiveLimits(clock)
    for _ in range(40):
        active.note_start()
    clock.now += 0.05
    assert active.exceeded(RuntimeError(), clock.now - 0.05).rate == pytest.approx(20.0)


def test_starts_may_be_noted_afterwards_in_any_order():
    clock = Clock()
    active = ActiveLimits(clock)
    active.note_starts([clock.now - 1, clock.now - 4, clock.now - 2, clock.now - 3, clock.now - 99])
    assert active.exceeded(RuntimeError(), clock.now - 1).rate == pytest.approx(0.5)


def test_a_refused_call_that_nobody_noted_is_one_call():
    clock = Clock()
    assert ActiveLimits(clock).exceeded(RuntimeError(), clock.now - 0.5).rate == pytest.approx(1.0)


# --- reading errors ---------------------------------------------------------------------------


def response(status=429, **headers):
    return httpx.Response(status, headers=headers, request=httpx.Request("POST", "https://api.provider.test/v1/chat"))


def http_error(status=429, **headers):
    with pytest.raises(httpx.HTTPStatusError) as caught:
        response(status, **headers).raise_for_status()
    return caught.value


def with_attributes(**attributes):
    error = RuntimeError("refused")
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


class Hostile(Exception):
    """Reading anything of it raises."""

    def __getattribute__(self, name):
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise RuntimeError(name)


def test_provider_of():
    assert provider_of(http_error()) == "api.provider.test"
    assert provider_of(httpx.ReadTimeout("no request here")) == "httpx"
    assert provider_of(ValueError()) == "builtins.ValueError"
    assert provider_of(Hostile()) == "tests"
    assert shared_limit("a") is shared_limit("a")
    assert shared_limit("a") is not shared_limit("b")


def test_status_of():
    import http

    assert status_of(http_error(429)) == 429
    assert status_of(with_attributes(status_code=503)) == 503
    assert status_of(with_attributes(status=500)) == 500
    assert status_of(with_attributes(code=http.HTTPStatus.TOO_MANY_REQUESTS)) == 429
    assert status_of(with_attributes(code="rate_limit", response=types.SimpleNamespace(status_code=429))) == 429
    assert status_of(with_attributes(code=lambda: 429)) is None
    assert status_of(with_attributes(response={"ResponseMetadata": {"HTTPStatusCode": 429}})) == 429
    assert status_of(with_attributes(code=7)) is None
    assert [status_of(with_attributes(code=code)) for code in (99, 100, 599, 600)] == [None, 100, 599, None]
    assert status_of(httpx.ReadTimeout("x")) is None
    assert status_of(SystemExit(1)) is None
    assert status_of(Hostile()) is None


def in_seconds(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def asctime(seconds):
    return time.asctime(time.gmtime(time.time() + seconds))


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (lambda: http_error(**{"Retry-After": "7"}), 7),
        (lambda: http_error(**{"retry-after": "0.25"}), 0.25),
        (lambda: http_error(**{"Retry-After": in_seconds(30)}), 30),
        (lambda: http_error(**{"Retry-After": asctime(30)}), 30),
        (lambda: http_error(503, **{"Retry-After": "3"}), 3),
        (lambda: with_attributes(retry_after=2.5), 2.5),
        (lambda: with_attributes(retry_after="2.5"), 2.5),
        (lambda: with_attributes(retry_after=datetime.timedelta(minutes=1)), 60),
        (lambda: with_attributes(retry_after=lambda: 5, headers={"Retry-After": "6"}), 6),
        (lambda: with_attributes(headers={"Retry-After": "6"}), 6),
        (lambda: with_attributes(response=types.SimpleNamespace(headers={"retry-after": "6"})), 6),
        (lambda: with_attributes(response={"ResponseMetadata": {"HTTPHeaders": {"retry-after": "4"}}}), 4),
        (lambda: http_error(), None),
        (lambda: http_error(**{"Retry-After": "0"}), None),
        (lambda: http_error(**{"Retry-After": "-5"}), None),
        (lambda: http_error(**{"Retry-After": "soon"}), None),
        (lambda: http_error(**{"Retry-After": "nan"}), None),
        (lambda: http_error(**{"Retry-After": "inf"}), None),
        (lambda: http_error(**{"Retry-After": in_seconds(-30)}), None),
        (lambda: http_error(**{"Retry-After": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}), None),
        (lambda: with_attributes(headers=["Retry-After: 5"]), None),
        (Hostile, None),
        (lambda: httpx.ReadTimeout("x"), None),
        (ValueError, None),
    ],
)
def test_retry_after_of(error, seconds):
    found = retry_after_of(error())
    assert found is None if seconds is None else found == pytest.approx(seconds, abs=1.5 if seconds == 30 else 0.01)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("written", ["%a, %d %b %Y %H:%M:%S -0000", "%a %b %d %H:%M:%S %Y"])
def test_a_date_without_a_zone_is_universal_time_wherever_this_runs(written, zone):
    with in_zone(zone):
        asked = retry_after_of(http_error(**{"Retry-After": time.strftime(written, time.gmtime(time.time() + 1800))}))
    assert asked is not None
    assert 1000 < asked < 1801


@given(st.text() | st.floats() | st.integers() | st.none() | st.binary())
def test_any_retry_after_is_a_wait_or_none(value):
    seconds = retry_after_of(with_attributes(retry_after=value, headers={"retry-after": value}))
    assert seconds is None or (seconds > 0 and math.isfinite(seconds))


class RateLimitError(Exception):
    """As phoenix-evals' own: no status at all."""


class TooManyRequests(Exception):
    pass


class ResourceExhausted(Exception):
    pass


class Derived(RateLimitError):
    pass


class RateLimitErrors(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RateLimitError(), True),
        (TooManyRequests(), True),
        (ResourceExhausted(), True),
        (Derived(), True),
        (RateLimitErrors(), False),
        (with_attributes(status_code=429), True),
        (with_attributes(status_code=503), False),
        (ValueError("429"), False),
        (Hostile(), False),
    ],
)
def test_what_says_too_fast(error, expected):
    assert CallPolicy().is_rate_limit(error) is expected


@pytest.mark.slow  # the import alone takes ten seconds
def test_phoenixs_own_is_known():
    from phoenix.evals.rate_limiters import RateLimitError as PhoenixRateLimitError

    assert CallPolicy().is_rate_limit(PhoenixRateLimitError())


def test_openais_own_is_known():
    from openai import RateLimitError as OpenAIRateLimitError

    policy = CallPolicy()
    refused = OpenAIRateLimitError("refused", response=response(**{"Retry-After": "2"}), body=None)
    assert policy.is_rate_limit(refused)
    assert (provider_of(refused), retry_after_of(refused)) == ("api.provider.test", 2.0)


def test_named_errors_are_the_only_ones():
    policy = CallPolicy(rate_limit_errors=[TooManyRequests])
    assert policy.rate_limit_errors == (TooManyRequests,)
    assert policy.is_rate_limit(TooManyRequests())
    assert not policy.is_rate_limit(with_attributes(status_code=429))
    assert CallPolicy(rate_limit_errors=RateLimitError).is_rate_limit(Derived())
    assert not CallPolicy(rate_limit_errors=()).is_rate_limit(RateLimitError())
