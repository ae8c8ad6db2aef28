"""When calls start that share a rate: by a clock of the test's own, and a bucket that leaks as Prefect's does."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.exceptions import PrefectHTTPStatusError

from prefect_experiments.orchestration import shared_limits
from prefect_experiments.orchestration.patience import Line, new_line
from prefect_experiments.orchestration.shared_limits import ALONE_FOR_S, SharedPace

ALONE = "The rate limit 'llm' is kept to by this experiment alone from now on."


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


class Bucket:
    """A rate limit as Prefect's server has it, which can be asked through its client, and the time."""

    def __init__(self, rate: float, room: int) -> None:
        self.rate, self.room, self.active = rate, room, True
        self.now = 1000.0
        self.level = 0.0
        self.looked_at = self.now
        self.puts: list[int] = []
        self.asked = 0
        self.busy = 0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)

    def leak(self) -> float:
        self.level = max(0.0, self.level - (self.now - self.looked_at) * self.rate)
        self.looked_at = self.now
        return self.level

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Bucket]:
        yield self

    async def read_global_concurrency_limit_by_name(self, name: str) -> Any:
        self.asked += 1
        return SimpleNamespace(name=name, active=self.active, limit=self.room, active_slots=math.ceil(self.leak()))

    async def increment_concurrency_slots(self, names: list[str], slots: int, mode: str) -> None:
        assert (names, mode) == (["llm"], "rate_limit")
        if self.busy:
            self.busy -= 1
            raise refused(503)
        if self.leak() + slots > self.room:
            raise refused(423)
        self.level += slots
        self.puts.append(slots)


def refused(status: int) -> PrefectHTTPStatusError:
    request = httpx.Request("POST", "http://prefect.test/api")
    response = httpx.Response(status, request=request)
    return PrefectHTTPStatusError("no", request=request, response=response)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    made = Bucket(2.0, 10)
    monkeypatch.setattr(shared_limits, "time", made)
    monkeypatch.setattr(shared_limits, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": made.sleep}))
    monkeypatch.setattr(shared_limits, "get_client", made.client)
    return made


@pytest.fixture
def line() -> Iterator[Line]:
    with new_line() as line:
        yield line
        line.missing.clear()


def starts(bucket: Bucket, count: int, *paces: SharedPace, every: float = 0.0) -> list[float]:
    """When so many calls start, of which each is asked for so long after the one before has started."""

    async def call() -> list[float]:
        found = []
        for number in range(count):
            await paces[number % len(paces)].acquire()
            found.append(round(bucket.now - 1000, 6))
            bucket.now += every
        return found

    return asyncio.run(call())


def test_calls_start_evenly_from_the_first_on_and_more_is_asked_for_at_once_where_all_is_used(
    bucket: Bucket, line: Line
) -> None:
    pace = SharedPace("llm", 2.0, 10)
    assert starts(bucket, 20, pace) == [n / 2 for n in range(20)]
    assert bucket.puts == [1, 2, 4, 4, 4, 4, 4]
    assert line.missing == []


@pytest.mark.parametrize(
    ("rate", "room", "most"), [(2.0, 6, 3), (2.0, 100, 4), (0.5, 100, 1), (1.0, 1, 1), (3.0, 5, 2)]
)
@pytest.mark.thorough
def test_so_many_starts_are_asked_for_at_most(bucket: Bucket, line: Line, rate: float, room: int, most: int) -> None:
    bucket.rate, bucket.room = rate, room
    pace = SharedPace("llm", rate, room)
    found = starts(bucket, 12, pace)
    assert max(bucket.puts) == most
    assert all(after - before >= 1 / rate - 1e-6 for before, after in itertools.pairwise(found))


@pytest.mark.thorough
def test_two_that_share_a_rate_keep_to_it_together(bucket: Bucket, line: Line) -> None:
    first, second = SharedPace("llm", 2.0, 10), SharedPace("llm", 2.0, 10)
    found = sorted(starts(bucket, 30, first, second))
    assert found[-1] >= 29 / 2 - 0.5
    for n, start in enumerate(found):
        assert sum(start <= other < start + 2 for other in found[n:]) <= 5


def test_who_calls_seldom_asks_for_few_and_starts_at_once(bucket: Bucket, line: Line) -> None:
    pace = SharedPace("llm", 2.0, 10)
    assert starts(bucket, 5, pace, every=10.0) == [0.0, 10.0, 20.0, 30.0, 40.0]
    assert bucket.puts == [1, 2, 1, 2, 1]


def test_starts_that_nobody_has_used_in_their_time_are_nobodys(bucket: Bucket, line: Line) -> None:
    pace = SharedPace("llm", 2.0, 10)
    starts(bucket, 4, pace)  # the fourth of seven that were asked for
    bucket.now += 100
    later = bucket.now - 1000
    assert starts(bucket, 3, pace) == [later, later + 0.5, later + 1.0]


def test_a_full_bucket_is_waited_for(bucket: Bucket, line: Line) -> None:
    bucket.level = 10.0
    assert starts(bucket, 1, SharedPace("llm", 2.0, 10)) == [5.0]
    assert bucket.puts == [1]


def test_a_server_that_is_busy_is_asked_again_at_once(bucket: Bucket, line: Line) -> None:
    bucket.busy = 3
    assert starts(bucket, 2, SharedPace("llm", 2.0, 10)) == [0.15, 0.65]
    assert line.missing == []


@pytest.mark.parametrize("change", [{"active": False}, {"room": 0}])
def test_a_limit_that_was_switched_off_or_made_smaller_is_kept_to_alone_for_a_while(
    bucket: Bucket, line: Line, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    before = {name: getattr(bucket, name) for name in change}
    vars(bucket).update(change)
    pace = SharedPace("llm", 2.0, 10)
    found = starts(bucket, int(2 * ALONE_FOR_S), pace)
    assert found == [n / 2 for n in range(len(found))]
    assert (bucket.asked, bucket.puts, caplog.messages) == (1, [], [ALONE])
    bucket.now += ALONE_FOR_S
    starts(bucket, 1, pace)
    assert (bucket.asked, bucket.puts, caplog.messages) == (2, [], [ALONE])
    vars(bucket).update(before)
    bucket.now += ALONE_FOR_S
    starts(bucket, 1, pace)
    assert bucket.puts != []
