"""The push on its own, to a backend that does as it is told: when it asks, how often, how long, what it says."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.backends import circuit_breaker
from prefect_experiments.backends import pusher as pushing
from prefect_experiments.backends.pusher import Item, Push, PushOutcome
from prefect_experiments.errors import BackendUnavailable, InvalidSetting, StoreUnavailable
from prefect_experiments.records import RunRecord
from prefect_experiments.store import Link, Store
from support.patience import FOREVER_S, PATIENCE_S

from .filled import Filled

Behaviour = Callable[[Item], Any]


class Backend:
    """Takes results, unless `does` raises or takes its time."""

    name = "backend"
    lanes = 3

    def __init__(self) -> None:
        self.does: Behaviour = lambda _: None
        self.asked: list[float] = []
        self.tried: Counter[int] = Counter()
        self.taken: Counter[tuple[Any, ...]] = Counter()
        self.most_at_once = self._now = 0

    @contextlib.asynccontextmanager
    async def pusher(self, store: Store, link: Link) -> AsyncIterator[Backend]:
        self._queue, self._link = store.outbox, link
        yield self

    def waiting(self, limit: int, *, running: bool) -> list[Item]:
        runs = self._queue.waiting_runs(self._link, limit)
        return [*runs, *self._queue.waiting_evaluations(self._link, limit)]

    async def _take(self, item: Item) -> None:
        self.asked.append(time.monotonic())
        self.tried[item.position] += 1
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await asyncio.sleep(0.001)
            done = self.does(item)
            if asyncio.iscoroutine(done):
                await done
        finally:
            self._now -= 1
        self.taken[item.position, item.repetition_number, getattr(item, "name", None)] += 1

    async def push_run(self, run: RunRecord) -> str:
        await self._take(run)
        return f"there-{run.position}"

    async def push_evaluation(self, verdict: Any) -> None:
        assert verdict.run_id == f"there-{verdict.position}"
        await self._take(verdict)


class Pushing:
    """A push of an experiment of some runs, three verdicts each."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.backend = Backend()
        self.said: list[str] = []
        self.held = 0
        self.holds: list[int] = []

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        self.held += 1
        self.holds.append(self.held)
        try:
            yield
        finally:
            self.held -= 1

    def push(self, filled: Filled, patience: float = PATIENCE_S) -> Push:
        remote: Any = self.backend
        return Push(self.store, remote, filled.link, patience=patience, say=self.said.append, beside=self.hold)

    def __call__(
        self, filled: Filled, patience: float = PATIENCE_S, experiment: Awaitable[None] | None = None
    ) -> PushOutcome:
        """Push what an experiment has made, and makes until it is finished."""

        async def run() -> PushOutcome:
            finished = asyncio.Event()

            async def to_its_end() -> None:
                if experiment is not None:
                    await experiment
                finished.set()

            outcome, _ = await asyncio.gather(self.push(filled, patience).run(finished), to_its_end())
            assert len(asyncio.all_tasks()) == 1, "something goes on"
            return outcome

        return asyncio.run(run())

    def all_taken(self, filled: Filled, times: int = 1) -> bool:
        return len(self.backend.taken) == 4 * len(filled.positions) and set(self.backend.taken.values()) <= {1, times}


@pytest.fixture
def pushing_to(tmp_path: Path) -> Iterator[Pushing]:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield Pushing(store)
    store.close()


def unavailable(_: Any = None, **options: Any) -> None:
    raise BackendUnavailable("it is out", **options)


def test_everything_once_on_all_lanes(pushing_to: Pushing) -> None:
    filled = Filled(pushing_to.store, 700)
    outcome = pushing_to(filled)
    assert pushing_to.all_taken(filled)
    assert outcome == PushOutcome(2800, (0, 0, 0))
    assert outcome.is_complete
    assert pushing_to.backend.most_at_once == 3
    assert pushing_to.said == []
    assert pushing_to.held == 0
    assert set(pushing_to.holds) == {1}
    assert pushing_to(filled).pushed == 0
    assert pushing_to.all_taken(filled)


@pytest.mark.thorough
def test_what_is_made_again_far_behind_is_pushed_before_it_is_over(pushing_to: Pushing) -> None:
    filled = Filled(pushing_to.store, 2_600)
    pushing_to.backend.lanes = 100

    def again(item: Item) -> None:
        if item.position == 2_550 and isinstance(item, RunRecord):
            filled.put_runs([1], at=time.time())

    pushing_to.backend.does = again
    assert pushing_to(filled).is_complete
    assert pushing_to.backend.taken[1, 1, None] == 2
    assert pushing_to.all_taken(filled, times=2)


def test_what_comes_while_it_is_under_way(pushing_to: Pushing) -> None:
    filled = Filled(pushing_to.store, 40)
    filled.put_runs(filled.positions, at=time.time())
    taken = pushing_to.backend.taken

    async def made_again() -> None:
        for start in range(0, 40, 4):
            positions = filled.positions[start : start + 4]
            while not all(taken[position, 1, None] for position in positions):
                await asyncio.sleep(0.005)
            filled.put_runs(positions, at=time.time())

    assert pushing_to(filled, experiment=made_again()).is_complete
    assert {taken[position, 1, None] for position in filled.positions} == {2}
    assert pushing_to.all_taken(filled, times=2)


def test_with_nothing_to_do_it_looks_seldom(pushing_to: Pushing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that takes 50 ms is made twice a second at most: no more than a tenth of the time goes to it."""
    filled = Filled(pushing_to.store, 5)
    queue = type(pushing_to.store.outbox)
    looks: list[float] = []
    original = queue.waiting_runs

    def slow(self: Any, link: Link, limit: int) -> Any:
        looks.append(time.monotonic())
        time.sleep(0.05)
        return original(self, link, limit)

    monkeypatch.setattr(queue, "waiting_runs", slow)

    async def four_looks() -> None:
        while len(looks) < 4:
            await asyncio.sleep(0.05)

    assert pushing_to(filled, experiment=four_looks()).is_complete
    gaps = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert sum(gap < 0.45 for gap in gaps) <= 2, "the first looks, and the one when it is over"
    assert pushing_to.all_taken(filled)


def test_a_slow_store_is_told_once_of_each_result(pushing_to: Pushing, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken while the store is told of the results before waits until that is done."""
    monkeypatch.setattr(pushing, "VISIT_EVERY_S", 0.02)
    filled = Filled(pushing_to.store, 40)
    queue = type(pushing_to.store.outbox)
    told: Counter[Any] = Counter()
    original = queue.mark

    def slow(self: Any, link: Link, pushed: Any) -> None:
        told.update((item.position, item.repetition_number, getattr(item, "name", None)) for item, _, _ in pushed)
        time.sleep(0.05)
        original(self, link, pushed)

    monkeypatch.setattr(queue, "mark", slow)
    pushing_to.backend.does = lambda _: asyncio.sleep(0.005)
    assert pushing_to(filled).is_complete
    assert told == pushing_to.backend.taken
    assert set(told.values()) == {1}
    assert pushing_to.all_taken(filled)


@pytest.mark.thorough
def test_an_outage_is_waited_for_and_asked_about_seldom(pushing_to: Pushing) -> None:
    filled = Filled(pushing_to.store, 30)
    asked, in_vain = pushing_to.backend.asked, []

    def out_for_4_s(item: Item) -> None:
        if time.monotonic() < asked[0] + 4 or not pushing_to.said:
            in_vain.append(item)
            unavailable()

    pushing_to.backend.does = out_for_4_s
    began = time.monotonic()
    outcome = pushing_to(filled)
    lasted = time.monotonic() - began
    assert outcome.is_complete
    assert pushing_to.all_taken(filled)
    assert len(in_vain) <= circuit_breaker.HICCUPS + 3 + 6
    [out, again] = pushing_to.said
    assert out == "it is out. 120 results wait in the store; trying again until they are taken."
    told = re.fullmatch(r"backend answers again after (\d+) s; the push goes on\.", again)
    assert told, again
    assert 4 <= int(told[1]) == round(outcome.waited_s)
    assert outcome.waited_for == "it is out"
    assert 4 <= outcome.waited_s <= lasted


def test_patience_begins_when_everything_is_finished(pushing_to: Pushing) -> None:
    filled = Filled(pushing_to.store, 30)
    pushing_to.backend.does = unavailable
    began = time.monotonic()
    outcome = pushing_to(filled, patience=1.0, experiment=asyncio.sleep(2.0))
    assert time.monotonic() - began >= 3.0
    assert (outcome.pushed, outcome.waiting.total, outcome.trouble) == (0, 120, "it is out")
    assert not outcome.is_complete
    pushing_to.backend.does = lambda _: None
    assert pushing_to(filled).is_complete
    assert pushing_to.all_taken(filled)


class Clock:
    """Goes as fast as time does, and may be set ahead."""

    ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def test_patience_begins_anew_with_each_result_that_is_taken(
    pushing_to: Pushing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was finished long ago; the backend took results until just now, and is out for a moment."""
    clock = Clock()
    monkeypatch.setattr(pushing, "time", clock)
    monkeypatch.setattr(circuit_breaker, "time", clock)
    filled = Filled(pushing_to.store, 10)
    out: list[Item] = []

    def slow_then_out(item: Item) -> None:
        if len(pushing_to.backend.taken) < 30:
            clock.ahead += PATIENCE_S / 10
        else:
            out.append(item)
            if len(out) <= circuit_breaker.HICCUPS + 1:
                unavailable()

    pushing_to.backend.does = slow_then_out
    assert pushing_to(filled, patience=PATIENCE_S).is_complete
    assert clock.ahead > 2 * PATIENCE_S
    assert pushing_to.all_taken(filled)


def test_no_patience_at_all(pushing_to: Pushing) -> None:
    filled = Filled(pushing_to.store, 10)
    assert pushing_to(filled, patience=0).is_complete, "there was nothing to be patient with"
    filled = Filled(pushing_to.store, 10, "another")
    pushing_to.backend.does = unavailable
    pushing_to.backend.asked.clear()
    assert pushing_to(filled, patience=0).waiting.total == 40
    assert len(pushing_to.backend.asked) <= circuit_breaker.HICCUPS + 3


def test_patience_ends_in_the_midst_of_a_request(pushing_to: Pushing) -> None:
    filled = Filled(pushing_to.store, 10)
    asked: list[Item] = []

    def hangs_later(item: Item) -> Any:
        asked.append(item)
        return asyncio.sleep(FOREVER_S) if len(asked) > circuit_breaker.HICCUPS + 3 else unavailable()

    pushing_to.backend.does = hangs_later
    began = time.monotonic()
    assert pushing_to(filled, patience=2.0).waiting.total == 40
    assert time.monotonic() - began >= 2.0


def test_it_asks_again_when_it_was_asked_to(pushing_to: Pushing) -> None:
    filled = Filled(pushing_to.store, 10)
    first: list[float] = []

    def busy(_: Item) -> None:
        first.append(time.monotonic())
        if time.monotonic() < first[0] + 1.4:
            unavailable(retry_after=1.5)

    pushing_to.backend.does = busy
    assert pushing_to(filled).is_complete
    asked = pushing_to.backend.asked
    assert sum(at < asked[0] + 1.4 for at in asked) <= 3, "no more than were under way"


def test_other_trouble_is_waited_for_in_the_same_way(pushing_to: Pushing) -> None:
    """A proxy's page for a moment, or an error of ours: not lost, and not the end of all others."""
    filled = Filled(pushing_to.store, 10)
    odd = iter([InvalidSetting("not a backend"), KeyError("id"), TypeError("NoneType")])

    def goes_wrong(_: Item) -> None:
        if (error := next(odd, None)) is not None:
            raise error

    pushing_to.backend.does = goes_wrong
    assert pushing_to(filled).is_complete
    assert pushing_to.all_taken(filled)


def test_a_single_bad_result_is_left_when_it_is_sure_that_it_is_the_result(
    pushing_to: Pushing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "LONGEST_PAUSE_S", 0.3)
    filled = Filled(pushing_to.store, 6)
    bad = filled.positions[2]
    pushing_to.backend.does = lambda item: unavailable() if item.position == bad else None
    outcome = pushing_to(filled, patience=FOREVER_S)
    assert outcome.waiting == (1, 3, 0)
    assert outcome.trouble is not None
    times = pushing_to.backend.tried[bad]
    assert outcome.trouble == f"it is out ({times} times, while it took other results)"
    pushing_to.backend.does = lambda _: None
    assert pushing_to(filled).is_complete


@pytest.mark.thorough
def test_the_last_result_is_not_given_up_when_the_backend_is_out(
    pushing_to: Pushing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but one are taken, then it is out for longer than a bad result would be tried for."""
    monkeypatch.setattr(pushing, "LONGEST_PAUSE_S", 0.2)
    monkeypatch.setattr(circuit_breaker, "LONGEST_PAUSE_S", 0.3)
    filled = Filled(pushing_to.store, 6)
    out: list[Item] = []

    def out_for_the_last(item: Item) -> None:
        if len(pushing_to.backend.taken) >= 23:
            out.append(item)
            if len(out) <= 2 * pushing.FAILURES_BEFORE_LEFT:
                unavailable()

    pushing_to.backend.does = out_for_the_last
    assert pushing_to(filled).is_complete


def test_cancelled_it_marks_what_was_taken_and_leaves_nothing_behind(pushing_to: Pushing) -> None:
    filled = Filled(pushing_to.store, 50)
    pushing_to.backend.does = lambda _: asyncio.sleep(FOREVER_S) if len(pushing_to.backend.taken) >= 20 else None

    async def run() -> None:
        task = asyncio.create_task(pushing_to.push(filled).run(asyncio.Event()))
        while len(pushing_to.backend.taken) < 20:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    assert pushing_to.store.outbox.waiting(filled.link).total == 200 - len(pushing_to.backend.taken)
    assert pushing_to.held == 0
    pushing_to.backend.does = lambda _: None
    assert pushing_to(filled).is_complete
    assert pushing_to.all_taken(filled)


def store_that_fails(pushing_to: Pushing, monkeypatch: pytest.MonkeyPatch, does: Callable[[], None]) -> None:
    queue = type(pushing_to.store.outbox)
    for name in ("waiting_runs", "mark"):
        original = getattr(queue, name)

        def failing(self: Any, *arguments: Any, _original: Any = original) -> Any:
            does()
            return _original(self, *arguments)

        monkeypatch.setattr(queue, name, failing)


def test_a_store_that_is_away_for_a_while(
    pushing_to: Pushing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pushing, "VISIT_EVERY_S", 0.02)
    filled = Filled(pushing_to.store, 300)
    calls = iter(range(1000))

    def every_second() -> None:
        if next(calls) % 2:
            raise StoreUnavailable("the store is away.")

    store_that_fails(pushing_to, monkeypatch, every_second)
    monkeypatch.setattr(pushing, "STORE_PATIENCE_S", 0.3)  # for one failure that lasts, not for all of them together
    pushing_to.backend.does = lambda _: asyncio.sleep(0.005)
    assert pushing_to(filled).is_complete
    assert pushing_to.all_taken(filled)
    assert set(caplog.messages) == {"the store is away. The push goes on when it answers."}


def test_a_store_that_stays_away(pushing_to: Pushing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "VISIT_EVERY_S", 0.02)
    monkeypatch.setattr(pushing, "STORE_PATIENCE_S", 1.0)
    filled = Filled(pushing_to.store, 5)

    def away() -> None:
        raise StoreUnavailable("the store is away.")

    store_that_fails(pushing_to, monkeypatch, away)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        pushing_to(filled)
    assert time.monotonic() - began >= 1.0
