"""What is known of requests that AX has not answered: until when their rows may still turn up, and what that is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from prefect_experiments.backends.arize import taken
from prefect_experiments.backends.arize.api import ArizeApi, Row
from prefect_experiments.backends.arize.taken import LONGEST_DOUBT_S, TakenRuns

FIRST: Row = {"example_id": "e1", "output": "one"}
SECOND: Row = {"example_id": "e2", "output": "two"}


class Clock:
    """The time, as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Ax:
    """What AX has, in one page; `meanwhile` happens when it has been read."""

    searches = False

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def run_pages(self, experiment_id: str, cursor: str | None) -> AsyncIterator[tuple[list[Row], str | None]]:
        yield list(self.rows), None
        self.meanwhile()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(taken, "time", found)
    return found


@pytest.fixture
def ax() -> Ax:
    return Ax()


def looked(runs: TakenRuns) -> TakenRuns:
    asyncio.run(runs.look("experiment"))
    return runs


@pytest.fixture
def runs(ax: Ax, clock: Clock) -> TakenRuns:
    return looked(TakenRuns(cast("ArizeApi", cast("Any", ax))))


def test_a_row_may_turn_up_for_half_as_long_as_was_waited_for_its_answer(runs: TakenRuns, clock: Clock) -> None:
    assert runs.doubt_s(FIRST) is None
    runs.doubt([FIRST], 20.0)
    assert runs.doubt_s(FIRST) == 10.0
    assert runs.doubt_s(SECOND) is None, "it was not in that request"
    clock.now += 4
    assert runs.doubt_s(FIRST) == 6.0
    runs.doubt([FIRST], 10_000.0)
    assert runs.doubt_s(FIRST) == LONGEST_DOUBT_S


def test_one_look_does_not_end_the_doubt(runs: TakenRuns, ax: Ax, clock: Clock) -> None:
    runs.doubt([FIRST], 20.0)
    assert looked(runs).claim(FIRST) is None
    assert runs.doubt_s(FIRST) == 10.0
    ax.rows.append({**FIRST, "id": "late"})
    assert looked(runs).claim(FIRST) == "late"


def test_what_is_not_there_when_the_time_is_over_is_not_there(runs: TakenRuns, ax: Ax, clock: Clock) -> None:
    runs.doubt([FIRST], 20.0)
    clock.now += 10
    assert looked(runs).claim(FIRST) is None
    assert runs.doubt_s(FIRST) is None


def test_time_that_ends_while_ax_is_read_is_not_over(runs: TakenRuns, ax: Ax, clock: Clock) -> None:
    """A row may have come behind the page that was read."""
    runs.doubt([FIRST], 20.0)
    clock.now += 9

    def comes_late() -> None:
        clock.now += 2
        ax.rows = [{**FIRST, "id": "late"}]

    ax.meanwhile = comes_late
    assert looked(runs).claim(FIRST) is None
    assert runs.doubt_s(FIRST) == 0.0, "in doubt still, and to be looked for at once"
    assert looked(runs).claim(FIRST) == "late"


def test_a_shorter_doubt_does_not_end_a_longer_one(runs: TakenRuns, clock: Clock) -> None:
    runs.doubt([FIRST], 60.0)
    runs.doubt([SECOND], 4.0)
    assert runs.doubt_s(FIRST) == 30.0
