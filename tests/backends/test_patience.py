"""How long a backend is left alone that says how long it wants to be, and what that comes to."""

from __future__ import annotations

import pytest

from prefect_experiments.backends import circuit_breaker
from prefect_experiments.backends.circuit_breaker import CircuitBreaker
from prefect_experiments.errors import BackendUnavailable


class Clock:
    """The time, which stands still."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


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
