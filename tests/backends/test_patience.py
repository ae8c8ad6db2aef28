"""How long a backend is left alone that says how long it wants to be, and what that comes to."""

from __future__ import annotations

import pytest

from prefect_experiments.backends import circuit_breaker, patience
from prefect_experiments.backends.circuit_breaker import HICCUPS, SAY_AGAIN_AFTER_S, CircuitBreaker
from prefect_experiments.backends.patience import ASKED_PATIENCE_S, ATTEMPTS, Patience, asks_too_much
from prefect_experiments.errors import BackendUnavailable


class Clock:
    """The time, which stands still."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    for module in (circuit_breaker, patience):
        monkeypatch.setattr(module, "time", found)
    return found


@pytest.mark.parametrize(("asked", "left_alone"), [(7.0, 7.0), (60.0, 60.0), (61.0, 60.0), (3600.0, 60.0)])
def test_it_is_believed_for_a_minute_at_most(monkeypatch: pytest.MonkeyPatch, asked: float, left_alone: float) -> None:
    monkeypatch.setattr(circuit_breaker, "time", Clock())
    breaker = CircuitBreaker()
    breaker.failed(BackendUnavailable("busy", retry_after=asked), Clock.now)
    assert breaker.again_at - Clock.now == left_alone


def test_how_long_an_outage_lasted_counts_where_people_were_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(circuit_breaker, "time", clock)
    breaker = CircuitBreaker()

    def outage(seconds: float, *, told: bool) -> float | None:
        breaker.failed(BackendUnavailable("busy", retry_after=seconds), clock.now)
        assert not told or breaker.is_to_be_said()
        clock.now += seconds
        return breaker.passed(clock.now)

    assert outage(8.0, told=False) is None
    assert breaker.waited() == (0.0, None)
    assert [outage(8.0, told=True), outage(6.0, told=True)] == [8.0, 6.0]
    assert breaker.waited() == (14.0, "busy")


def about(pause: float | None, most: float) -> bool:
    """Whether a pause is one of at most so long: less by half at random."""
    return pause is not None and most / 2 <= pause <= most


AWAY = BackendUnavailable("away")


def test_a_few_failures_in_a_row_are_no_outage_and_each_pause_of_one_is_longer(clock: Clock) -> None:
    breaker = CircuitBreaker()
    for _ in range(2):
        for _ in range(HICCUPS):
            breaker.failed(AWAY, clock.now)
            assert (breaker.is_outage, breaker.again_at, breaker.is_to_be_said()) == (False, 0.0, False)
        for pause in (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0):
            breaker.failed(AWAY, clock.now)
            assert breaker.is_outage
            assert about(breaker.again_at - clock.now, pause)
            clock.now = breaker.again_at
        breaker.passed(clock.now)
        assert (breaker.is_outage, breaker.again_at) == (False, 0.0)


def test_what_was_under_way_when_the_pause_began_is_no_news(clock: Clock) -> None:
    breaker = CircuitBreaker()
    for _ in range(HICCUPS + 1):
        breaker.failed(AWAY, clock.now)
    again_at = breaker.again_at
    breaker.failed(AWAY, clock.now - 0.1)
    assert breaker.again_at == again_at
    assert breaker.passed(clock.now - 0.1) is None
    assert breaker.is_outage
    breaker.failed(BackendUnavailable("busy", retry_after=40.0), clock.now - 0.1)
    assert breaker.again_at == clock.now + 40.0, "but for how long it wants to be left alone"
    breaker.failed(BackendUnavailable("busy", retry_after=3.0), clock.now - 0.1)
    assert breaker.again_at == clock.now + 40.0


@pytest.mark.parametrize(("asked", "is_said"), [(5.0, True), (4.9, False)])
def test_an_outage_is_said_that_lasts_or_will_last_and_again_after_a_minute(
    clock: Clock, asked: float, is_said: bool
) -> None:
    breaker = CircuitBreaker()
    breaker.failed(BackendUnavailable("busy", retry_after=asked), clock.now)
    assert breaker.is_to_be_said() is is_said
    clock.now = breaker.again_at
    breaker.failed(BackendUnavailable("busy again", retry_after=0.5), clock.now)
    assert breaker.is_to_be_said() is not is_said, "the second pause is worth a word, once"
    said_at = clock.now if not is_said else clock.now - asked
    clock.now = said_at + SAY_AGAIN_AFTER_S - 1
    assert not breaker.is_to_be_said()
    clock.now += 1
    assert breaker.is_to_be_said()
    assert breaker.waited() == (clock.now - Clock.now, "busy again")


def test_one_request_is_tried_so_often_with_longer_and_longer_pauses(clock: Clock) -> None:
    of_default, of_own = Patience(), Patience(5, 2.0, 3.0)
    pauses = [of_default.pause(AWAY) for _ in range(ATTEMPTS)]
    assert [about(pause, most) for pause, most in zip(pauses, (0.3, 0.6), strict=False)] == [True, True]
    assert pauses[2] is None
    pauses = [of_own.pause(AWAY) for _ in range(5)]
    assert [about(pause, most) for pause, most in zip(pauses, (2.0, 3.0, 3.0, 3.0), strict=False)] == [True] * 4
    assert pauses[4] is None


def test_who_says_when_to_come_back_is_asked_until_two_minutes_are_over(clock: Clock) -> None:
    waiting, busy = Patience(), BackendUnavailable("busy", retry_after=0.25)
    assert waiting.pause(busy) == 0.25
    for most in (0.6, 1.0, 1.0, 1.0):  # it was not enough
        assert about(waiting.pause(busy), most)
    assert waiting.pause(BackendUnavailable("busy", retry_after=7.0)) == 7.0
    assert about(waiting.pause(AWAY), 0.3), "the first that does not say so"
    clock.now += ASKED_PATIENCE_S - 0.5
    assert about(waiting.pause(busy), 1.0)
    clock.now += 0.5
    assert waiting.pause(busy) is None


@pytest.mark.parametrize(("asked", "pause"), [(60.0, 60.0), (90.0, 60.0), (120.0, 60.0), (120.5, None)])
def test_who_asks_for_more_than_two_minutes_is_not_waited_for(clock: Clock, asked: float, pause: float | None) -> None:
    busy = BackendUnavailable("busy", retry_after=asked)
    assert Patience().pause(busy) == pause
    assert asks_too_much(busy) is (pause is None)
    assert not asks_too_much(AWAY)
