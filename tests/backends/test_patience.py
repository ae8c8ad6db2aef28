"""How long a backend is left alone that says how long it wants to be."""

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
