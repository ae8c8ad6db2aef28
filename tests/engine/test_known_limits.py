"""What several processes know of one limit: merged in any order, and kept to together, by a clock of the test's own."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter, deque
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.engine.known_limits import ALONE, HEARD_WITHIN_S, Known, Share
from prefect_experiments.engine.limits import CUT, SLOWEST, RateLimit

from .harness import in_virtual_time

SECONDS = st.floats(0, 1000)


@st.composite
def knowledge(draw: st.DrawFn) -> Known:
    since_success = draw(SECONDS | st.just(math.inf))
    refused_for = min(draw(SECONDS), since_success)
    rate, since_cut = (draw(numbers | st.just(math.inf)) for numbers in (st.floats(SLOWEST, 1e4), SECONDS))
    return Known(rate, draw(SECONDS), draw(SECONDS), since_cut, refused_for, since_success)


def is_as_strict_as(one: Known, other: Known) -> bool:
    return (
        one.rate <= other.rate * (1 + 1e-9)
        and one.pause >= other.pause
        and one.hold >= other.hold
        and one.since_cut <= other.since_cut
    )


@given(knowledge(), knowledge(), knowledge())
def test_it_does_not_matter_who_hears_what_first_or_how_often(a: Known, b: Known, c: Known) -> None:
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(a) == a
    assert a.merged(b).merged(b) == a.merged(b)
    assert a.merged(Known()) == a


@given(knowledge(), knowledge(), SECONDS)
def test_both_together_are_as_strict_as_each_of_them_then_and_later(a: Known, b: Known, later: float) -> None:
    for moment in (0.0, later):
        together = a.merged(b).after(moment)
        assert is_as_strict_as(together, a.after(moment))
        assert is_as_strict_as(together, b.after(moment))


def test_what_is_known_grows_older_and_what_is_waited_for_comes_nearer() -> None:
    before = Known(rate=2.0, pause=5.0, hold=30.0, since_cut=1.0, refused_for=4.0, since_success=6.0)
    assert before.after(10.0) == Known(2.0, 0.0, 20.0, 11.0, 14.0, 16.0)
    assert Known(refused_for=0.0).after(10.0).refused_for == 0.0, "nothing is refused"
    assert before.after(40.0).rate == pytest.approx(2.0 * math.exp(0.5)), "it grows when it is held no more"
    assert Known(rate=2.0).after(10**9).rate == 2.0 * math.exp(300), "as large as a number can be"


@given(knowledge(), st.floats(0, 100), st.floats(0, 100))
def test_time_passes_in_any_pieces(a: Known, first: float, then: float) -> None:
    assert tuple(a.after(first).after(then)) == pytest.approx(tuple(a.after(first + then)), abs=1e-6)


class Table:
    """What the store keeps: one provider's row, and when it was written."""

    def __init__(self, clock) -> None:
        self.clock, self.row, self.at = clock, Known(), 0.0

    @property
    def now(self) -> Known:
        return self.row.after(self.clock() - self.at)

    def round(self, limit: RateLimit, share: Share) -> None:
        if (news := limit.news()) is not None:
            self.row, self.at = self.now.merged(news), self.clock()
        limit.learn(self.now, share)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def group(clock, processes: int) -> tuple[Table, list[RateLimit], list[Share]]:
    shares = [Share(place, processes) for place in range(processes)]
    return Table(clock), [RateLimit("provider", clock) for _ in shares], shares


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 20), st.none()),
        st.tuples(st.just("round"), st.integers(0, 2), st.none()),
        st.tuples(st.just("server"), st.integers(0, 2), st.none()),
        st.tuples(st.just("refused"), st.integers(0, 2), st.tuples(st.floats(0, 5), st.none() | st.floats(1, 60))),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(EVENTS)
def test_whoever_has_heard_is_as_strict_as_all_that_was_told(events) -> None:
    clock = Clock()
    table, limits, shares = group(clock, 3)
    for event, value, how in events:
        if event == "wait":
            clock.now += value
            continue
        limit, share = limits[value], shares[value]
        before = limit.known()
        if event == "server":
            limit.server_failed()
        elif event == "refused":
            age, retry_after = how
            limit.exceeded(clock.now - age, retry_after, 20.0, share._replace(others=(20.0, 20.0)))
        else:
            told = table.now.merged(before)
            table.round(limit, share)
            assert is_as_strict_as(limit.known(), told._replace(pause=told.pause - 1e-6, hold=told.hold - 1e-6))
            assert is_as_strict_as(table.now, told._replace(rate=math.inf, pause=0.0, hold=0.0, since_cut=math.inf))
        assert limit.rate <= before.rate  # the clock stands still: only waiting makes it faster


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("refused", [(0,), (0, 1), (0, 1, 2), (2, 1)], ids=str)
def test_a_burst_halves_the_rate_once_whoever_was_refused(refused: Sequence[int], order: Sequence[int]) -> None:
    clock = Clock()
    table, limits, shares = group(clock, 3)
    others = [share._replace(others=(10.0, 10.0)) for share in shares]
    for number in refused:
        limits[number].exceeded(clock.now - 0.1, 5.0 + number, 10.0, others[number])
    for number in (*order, *order):
        table.round(limits[number], shares[number])
    clock.now += HEARD_WITHIN_S / 2
    for number in refused:  # what the others had begun before they heard of it
        limits[number].exceeded(clock.now - 0.1, None, 10.0, others[number])
    for number in (*order, *order):
        table.round(limits[number], shares[number])
    assert {limit.rate for limit in limits} == {15.0}
    assert [limit.known().pause for limit in limits] == pytest.approx([5.0 + max(refused) - 1.0] * 3)


def test_what_is_refused_when_all_have_heard_halves_it_again() -> None:
    clock = Clock()
    table, limits, shares = group(clock, 2)
    limits[0].exceeded(clock.now, 1.0, 40.0, shares[0])
    clock.now += HEARD_WITHIN_S + 0.1
    table.round(limits[0], shares[0])
    table.round(limits[1], shares[1])
    before = limits[1].rate
    limits[1].exceeded(clock.now, 1.0, 40.0, shares[1])
    table.round(limits[1], shares[1])
    table.round(limits[0], shares[0])
    assert limits[0].rate == limits[1].rate == pytest.approx(CUT * before)


def test_those_of_whom_nothing_is_known_are_taken_to_do_as_much() -> None:
    assert Share(0, 3, (None, 5.0)).together(10.0) == 25.0
    assert ALONE.together(10.0) == 10.0


def test_the_group_grows_as_one_does() -> None:
    clock = Clock()
    table, limits, shares = group(clock, 8)
    alone = RateLimit("provider", clock)
    alone.exceeded(clock.now, 1.0, 80.0)
    for limit, share in zip(limits, shares, strict=True):
        limit.exceeded(clock.now, 1.0, 10.0, share._replace(others=(10.0,) * 7))
    for _ in range(30):
        clock.now += 1
        for limit, share in zip(limits, shares, strict=True):
            table.round(limit, share)
        alone.known()
        assert [limit.rate for limit in limits] == pytest.approx([alone.rate] * 8)
    assert alone.rate == pytest.approx(40 * 1.05**29)


def test_a_success_anywhere_ends_the_refusals_of_all() -> None:
    clock = Clock()
    first, second = RateLimit("provider", clock), RateLimit("provider", clock)
    first.exceeded(clock.now, None, 10.0)
    second.exceeded(clock.now, None, 10.0)
    clock.now += 300
    second.succeeded()
    clock.now += 301
    first.exceeded(clock.now, None, 10.0)
    assert first.is_starved(clock.now)
    first.learn(second.known(), Share(0, 2))
    assert not first.is_starved(clock.now)
    clock.now += 1
    newcomer = RateLimit("provider", clock)
    newcomer.learn(Known(refused_for=700.0), Share(1, 2))
    assert newcomer.is_starved(clock.now)  # and need not find out for itself in ten minutes
    newcomer.exceeded(clock.now, None, 10.0)
    assert newcomer.is_starved(clock.now), "its own first refusal goes on from those of the others"


class Provider:
    """Lets so many calls through in any second, and says to the others when to come back."""

    def __init__(self, clock, per_second: int) -> None:
        self.clock, self.per_second = clock, per_second
        self.passed: deque[float] = deque()
        self.calls: list[float] = []
        self.refused: list[float] = []

    def call(self) -> bool:
        now = self.clock()
        self.calls.append(now)
        while self.passed and self.passed[0] <= now - 1:
            self.passed.popleft()
        if len(self.passed) >= self.per_second:
            self.refused.append(now)
            return False
        self.passed.append(now)
        return True


def simulated(processes: int, *, shared: bool, workers: int, per_second: int = 20, seconds: float = 120.0) -> Provider:
    """So many workers in all, in one process or in several, call one provider for so long."""

    async def main(clock):
        provider = Provider(clock, per_second)
        table, limits, shares = group(clock, processes)
        if not shared:
            shares = [ALONE] * processes
        starts: list[deque[float]] = [deque(maxlen=1000) for _ in limits]

        def observed(number: int) -> float:
            recent = [start for start in starts[number] if start >= clock() - 5]
            return max(len(recent), 1) / max(clock() - min(recent, default=0.0), 1.0)

        async def work(number: int) -> None:
            limit = limits[number]
            while clock() < seconds:
                await limit.acquire()
                began = clock()
                starts[number].append(began)
                await asyncio.sleep(0.05)
                if provider.call():
                    limit.succeeded()
                    continue
                others = tuple(observed(other) for other in range(processes) if other != number)
                limit.exceeded(began, 2.0, observed(number), shares[number]._replace(others=others))
                if shared:
                    table.round(limit, shares[number])

        async def keep(number: int) -> None:
            await asyncio.sleep(number / processes)
            while shared and clock() < seconds:
                table.round(limits[number], shares[number])
                await asyncio.sleep(1.0)

        each = workers // processes
        working = [work(number) for number in range(processes) for _ in range(each)]
        await asyncio.gather(*working, *map(keep, range(processes)))
        return provider

    return in_virtual_time(main)


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize(("processes", "per_second"), [(2, 20), (16, 20), (8, 100)])
def test_several_processes_do_together_what_one_does(processes: int, per_second: int) -> None:
    """After the first seconds; and apart they are refused each for itself."""
    one, together, apart = (
        simulated(number, shared=shared, workers=48, per_second=per_second)
        for number, shared in ((1, False), (processes, True), (processes, False))
    )
    refused, refused_together, refused_apart = (
        sum(when > 10 for when in provider.refused) for provider in (one, together, apart)
    )
    assert refused - 2 <= refused_together <= refused + 2
    assert refused_apart >= refused + 3 * processes
    assert 0.95 <= len(together.calls) / len(one.calls) <= 1.1
    each_second = Counter(int(when) for when in together.calls if when > 10)
    assert max(each_second.values()) <= 1.1 * per_second
