"""How long a database is waited for that does not answer, and what is said of it, by a clock of the test's own."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from prefect_experiments.errors import StoreUnavailable
from prefect_experiments.store import patience
from prefect_experiments.store.patience import Outage

WAITING = "up to 60 s; no further call begins meanwhile."


class Clock:
    """The time goes on while somebody waits, and not else."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(patience, "time", found)
    monkeypatch.setattr(patience, "backoff", lambda failures, first, longest: min(first * 2 ** (failures - 1), longest))
    return found


def away(clock: Clock, until: float, *, is_busy: bool = False) -> Callable[[], str]:
    """What a database says that answers so many seconds after now."""
    back = clock.now + until

    def ask() -> str:
        if clock.now < back:
            raise StoreUnavailable("it does not answer", reason="disk full", is_busy=is_busy)
        return "answered"

    return ask


def test_what_is_away_for_a_moment_is_asked_again_and_nothing_is_said(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert Outage("here").patiently(away(clock, 1.0)) == "answered"
    assert clock.waits == [0.1, 0.2, 0.4, 0.8]
    assert caplog.messages == []


def test_what_is_away_for_longer_is_told_of_once_and_once_when_it_is_back(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage("here")
    assert outage.patiently(away(clock, 59.0)) == "answered"
    assert caplog.messages == [
        f"The store at here is busy or away (disk full): waiting for it, {WAITING}",
        "The store answers again after 60 s.",
    ]
    assert max(clock.waits) == 1.0
    assert outage.patiently(lambda: "at once") == "at once"
    assert len(caplog.messages) == 2
    outage.say(clock.now)
    outage.say(clock.now - 5, "again")
    clock.now += 3
    outage.over()
    outage.over()
    assert caplog.messages[2:] == [
        f"The store at here is busy or away: waiting for it, {WAITING}",
        "The store answers again after 3 s.",
    ]


@pytest.mark.parametrize(
    ("is_busy", "unless_busy", "seconds"),
    [(False, math.inf, 60), (False, 5.0, 5), (False, 300.0, 60), (True, 5.0, 60), (True, math.inf, 60)],
)
def test_it_is_given_up_after_a_minute_or_earlier_where_it_is_no_lock(
    clock: Clock, is_busy: bool, unless_busy: float, seconds: int
) -> None:
    began = clock.now
    with pytest.raises(StoreUnavailable):
        Outage("here").patiently(away(clock, 1e9, is_busy=is_busy), unless_busy=unless_busy)
    waited = clock.now - began
    assert seconds <= waited < seconds + 1


def test_within_another_the_whole_is_tried_again(clock: Clock) -> None:
    outage, calls = Outage("here"), {"inner": 0, "outer": 0}
    ask = away(clock, 0.3)

    def inner() -> str:
        calls["inner"] += 1
        return ask()

    def outer() -> str:
        calls["outer"] += 1
        return outage.patiently(inner)

    assert outage.patiently(outer) == "answered"
    assert calls == {"inner": 3, "outer": 3}
    ask = away(clock, 0.3)
    assert outage.patiently(inner) == "answered", "alone, it is tried again itself"
    assert calls == {"inner": 6, "outer": 3}


def test_what_is_wrong_otherwise_is_not_tried_again(clock: Clock) -> None:
    def fails() -> None:
        raise KeyError("other")

    with pytest.raises(KeyError, match="other"):
        Outage("here").patiently(fails)
    assert clock.waits == []
