"""Ranges of one experiment that workers take, finish, and leave behind in any order: each is done once in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_experiments import Client
from prefect_experiments.engine import Batch
from prefect_experiments.errors import ExperimentInUse, WorkCalledOff
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.sharing import SharedBatches, calls_directly, do_part, parts_of, shares, write_down
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.store.processes import Process, holding
from prefect_experiments.store.shared_work import Done, Range, Ranges, WorkerLease
from prefect_experiments.store.tables import shared_work, work_ranges
from support.patience import wait_for

WORKERS = 3


class Shared:
    """An experiment with a leader, whose ranges workers of this process take."""

    def __init__(self, store_url: str) -> None:
        self.client = Client(store_url=store_url)
        work = RunWork(plan_new(RunArguments(dataset=[{"input": 1}], task=lambda x: x), self.client))
        work.load_dataset()
        self.id, self.store = work.record.experiment.id, self.client.store
        self.lease = self.store.leases.of_calls(self.id)
        assert self.lease.try_to_take()
        self.leader = self.lease.holder

    def begin(self, total: int, smallest: int = 1, largest: int = 1000, workers: int = WORKERS) -> None:
        self.store.shared_work.begin(
            self.id, self.leader, total=total, smallest=smallest, largest=largest, parts=[None] * workers
        )

    def rows(self) -> list[tuple[Range, bool]]:
        """Every range that was ever taken, and whether it is done."""
        c = work_ranges.c
        query = sa.select(c.first, c.after, c.done).where(c.experiment_id == self.id).order_by(c.first)
        with self.store.database.read() as connection:
            return [(Range(first, after), bool(done)) for first, after, done in connection.execute(query)]


class Worker:
    """A process that is one worker, as far as the store sees it."""

    def __init__(self, shared: Shared, number: int, leader: str | None = None) -> None:
        self.done = Done()
        leader = leader or shared.leader
        self.lease = WorkerLease(shared.store.database, shared.id, number, leader, lambda: self.done)
        assert self.lease.try_to_take()
        self.ranges = Ranges(shared.store.database, self.lease)
        self.held: list[Range] = []

    def take(self) -> Range | None:
        found = self.ranges.take()
        if found is not None:
            self.held.append(found)
        return found

    def finish(self, which: int = 0) -> Range:
        found = self.held.pop(which)
        self.ranges.finish(found)
        return found

    def die(self) -> None:
        """Without a word: as others see it, the process is gone."""
        holding.discard(self.lease.holder)
        self.lease._let_go.set()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.create_database()
    else:
        url = f"sqlite:///{tmp_path_factory.mktemp('shared') / 'store.db'}"
    made = Shared(url)
    yield made
    made.lease.release()
    made.store.close()
    if request.param == "postgresql":
        server.drop_database(url)


STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "take", "take", "finish", "finish", "die", "leave"]), st.integers(1, WORKERS)),
    max_size=30,
)


class Simulation:
    """What each worker does, and what must hold after each step of anybody."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.living: dict[int, Worker] = {}
        self.finished: list[Range] = []
        self.new: list[Range] = []

    def step(self, what: str, number: int) -> None:
        worker = self.living.get(number) or Worker(self.shared, number)
        self.living[number] = worker
        if what == "take":
            self.take(worker)
        elif what == "finish" and worker.held:
            self.finished.append(worker.finish())
        elif what in ("die", "leave"):
            worker.die() if what == "die" else worker.lease.release()
            del self.living[number]
        self.check()

    def take(self, worker: Worker) -> Range | None:
        known = {found for found, _ in self.shared.rows()}
        found = worker.take()
        if found is not None and found not in known:
            self.new.append(found)
        return found

    def check(self) -> None:
        held = [found for worker in self.living.values() for found in worker.held]
        assert len(held) == len(set(held)), "two living workers hold one range"
        assert not set(held) & set(self.finished), "what is done is done again"
        rows = self.shared.rows()
        assert {found for found, is_done in rows if is_done} == set(self.finished)
        under_way = self.shared.store.shared_work.under_way(self.shared.id)
        assert list(under_way) == [found for found, is_done in rows if not is_done]
        assert all(under_way[found] == number for number, worker in self.living.items() for found in worker.held)

    def to_the_end(self) -> None:
        for number in range(1, WORKERS + 1):
            if number not in self.living:
                self.living[number] = Worker(self.shared, number)
        for worker in self.living.values():
            while worker.held:
                self.finished.append(worker.finish())
            while self.take(worker) is not None:
                assert not self.shared.store.shared_work.is_done(self.shared.id)
                self.finished.append(worker.finish())
        self.check()


@pytest.mark.thorough
@pytest.mark.mostly_slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(total=st.integers(1, 90), smallest=st.integers(1, 5), more=st.integers(0, 20), steps=STEPS)
def test_every_example_is_done_once(
    shared: Shared, total: int, smallest: int, more: int, steps: list[tuple[str, int]]
) -> None:
    shared.begin(total, smallest, smallest + more)
    seen = Simulation(shared)
    try:
        for step in steps:
            seen.step(*step)
        seen.to_the_end()
    finally:
        for worker in seen.living.values():
            worker.lease.release()
    assert shared.store.shared_work.is_done(shared.id)
    examples = sorted(position for found in seen.finished for position in range(found.first, found.after))
    assert examples == list(range(total))
    sizes = [found.after - found.first for found in seen.new]
    assert sizes == sorted(sizes, reverse=True)
    assert all(smallest <= size <= smallest + more for size in sizes[:-1])


def test_what_workers_have_in_trouble_is_said_once() -> None:
    one, two, fine = Done(runs=1, trouble="slow"), Done(runs=2, trouble="slower"), Done(runs=4)
    more = "slow in one of the workers, and more in others"
    assert (one + fine).trouble == (fine + one).trouble == "slow"
    assert (one + two).trouble == (one + two + two).trouble == (one + two + fine).trouble == more
    assert (one + two + fine).runs == 7


def test_large_ranges_come_first(shared: Shared) -> None:
    shared.begin(1000, smallest=4, largest=200, workers=2)
    worker = Worker(shared, 1)
    sizes = []
    while (found := worker.take()) is not None:
        sizes.append(found.after - found.first)
    worker.lease.release()
    assert (sizes[0], sizes[-1]) == (200, sizes[-1])
    assert sizes[-2] <= 6
    assert sum(sizes) == 1000


@pytest.mark.parametrize(
    ("concurrency", "workers", "each"),
    [(1, 3, [1]), (2, 3, [1, 1]), (8, 3, [3, 3, 2]), (10, 2, [5, 5]), (4, 1, [4])],
)
def test_concurrency_is_for_all_of_them_together(concurrency: int, workers: int, each: list[int]) -> None:
    assert shares(concurrency, workers) == each


@pytest.mark.parametrize(("repetitions", "smallest"), [(1, 3), (2, 2), (3, 1)])
def test_the_smallest_range_gives_a_worker_as_many_calls_as_it_makes_at_once(
    store_url: str, repetitions: int, smallest: int
) -> None:
    """The first worker has the largest share of what cannot be shared evenly: 3 of 5."""
    work = RunWork(
        plan_new(
            RunArguments(
                dataset=[{"input": n} for n in range(200)], task=lambda x: x, concurrency=5, repetitions=repetitions
            ),
            Client(store_url=store_url),
        )
    )
    work.load_dataset()
    lease = work.session.store.leases.of_calls(work.record.experiment.id)
    assert lease.try_to_take()
    write_down(work.session, parts_of(work.session, 2, lease.holder), [None, None])
    with work.session.store.database.read() as connection:
        assert connection.execute(sa.select(shared_work.c.smallest)).scalar_one() == smallest
    lease.release()


def test_whoever_stood_still_learns_that_another_has_its_range(shared: Shared) -> None:
    """It must not go on with it, though nobody has become the same worker meanwhile."""
    shared.begin(2, largest=1)
    still, other = Worker(shared, 1), Worker(shared, 2)
    assert still.take() == Range(0, 1)
    holding.discard(still.lease.holder)
    assert other.take() == Range(1, 2)
    assert other.take() == Range(0, 1)
    holding.add(still.lease.holder)
    wait_for(lambda: still.lease.lost, "the word that its range is another's")
    assert isinstance(still.lease.lost, ExperimentInUse)
    still.finish()  # nobody hears of it
    assert [is_done for _, is_done in shared.rows()] == [False, False]
    other.finish(1)
    assert [is_done for _, is_done in shared.rows()] == [True, False]
    again = Worker(shared, 1)
    assert again.take() is None
    for worker in (still, other, again):
        worker.lease.release()


def test_nobody_takes_a_range_after_another_has_become_the_same_worker(shared: Shared) -> None:
    shared.begin(4, largest=1)
    first = Worker(shared, 1)
    assert first.take() == Range(0, 1)
    first.die()
    second = Worker(shared, 1)
    assert first.take() is None
    assert second.take() == Range(0, 1)
    first.finish()
    assert [is_done for _, is_done in shared.rows()] == [False]
    second.lease.release()


def test_workers_of_an_earlier_leader_change_nothing(shared: Shared) -> None:
    shared.begin(10, smallest=5, largest=5)
    old = Worker(shared, 1)
    assert old.take() == Range(0, 5)
    leader, shared.leader = shared.leader, Process.this().text
    try:
        shared.begin(10, smallest=10, largest=10)
        assert old.take() is None
        old.finish()
        assert shared.rows() == []
        wait_for(lambda: isinstance(old.lease.lost, ExperimentInUse), "the word that its leader leads no more")
    finally:
        shared.leader = leader
        old.lease.release()


def test_a_range_of_an_earlier_leader_is_not_done_for_the_next(shared: Shared) -> None:
    shared.begin(10, smallest=5, largest=5)
    old = Worker(shared, 1)
    old.take()
    shared.begin(10, smallest=5, largest=5)
    new = Worker(shared, 1)
    assert new.take() == Range(0, 5)
    old.finish()
    assert shared.rows() == [(Range(0, 5), False)]
    old.lease.release()
    new.lease.release()


def test_the_first_reason_to_stop_is_told_to_all(shared: Shared) -> None:
    shared.begin(10)
    workers = [Worker(shared, number) for number in (1, 2)]
    shared.store.shared_work.stop(shared.id, "somebody else", "not this")
    shared.store.shared_work.stop(shared.id, shared.leader, "enough")
    shared.store.shared_work.stop(shared.id, shared.leader, "more than enough")
    for worker in workers:
        wait_for(lambda worker=worker: worker.lease.lost, "the reason")  # type: ignore[misc]
        assert isinstance(worker.lease.lost, WorkCalledOff)
        assert "nothing more is called: enough" in str(worker.lease.lost)
        assert "more than" not in str(worker.lease.lost)
        worker.lease.release()


def test_what_several_have_done_as_one_worker_is_summed(shared: Shared) -> None:
    shared.begin(10)
    first = Worker(shared, 1)
    first.done = Done(runs=3, evaluations=6, spent=0.5)
    waiting = WorkerLease(shared.store.database, shared.id, 1, shared.leader, lambda: Done(runs=2, spent=0.25))
    assert not waiting.try_to_take()
    first.done = Done(runs=4, evaluations=8, spent=0.75)
    first.lease.release()
    assert waiting.try_to_take()
    waiting.release()
    assert shared.store.shared_work.done(shared.id)[1] == Done(runs=6, evaluations=8, spent=1.0)


@pytest.mark.mostly_slow
def test_each_knows_what_the_others_have_spent(shared: Shared) -> None:
    shared.begin(10)
    one, two = Worker(shared, 1), Worker(shared, 2)
    one.done = Done(spent=0.5)
    wait_for(lambda: two.lease.elsewhere == 0.5, "what the other has spent")
    one.lease.release()
    again = Worker(shared, 1)
    assert again.lease.elsewhere == 0.5
    again.lease.release()
    two.lease.release()


def test_what_another_has_done_of_a_range_is_not_done_again(tmp_path: Path) -> None:
    """Though nothing was done at all when the one that takes it over began."""
    client, calls = Client(store_url=f"sqlite:///{tmp_path / 'store.db'}"), []

    def task(input: int) -> int:
        calls.append(input)
        return input

    async def half(session: Session, batches: SharedBatches) -> None:
        batch = await batches.take()
        assert batch is not None
        async with session.recording():
            await session.run_batch(Batch(1, batch.positions[:4]), lambda: None)
        raise ConnectionError

    work = RunWork(
        plan_new(RunArguments(dataset=[{"input": n} for n in range(8)], task=task, concurrency=2, batch_size=8), client)
    )
    work.load_dataset()

    async def main() -> None:
        lease = client.store.leases.of_calls(work.record.experiment.id)
        assert await asyncio.to_thread(lease.try_to_take)
        parts = parts_of(work.session, 2, lease.holder)
        write_down(work.session, parts, [None, None])
        is_open, go = asyncio.Event(), asyncio.Event()

        async def later(session: Session, batches: SharedBatches) -> None:
            is_open.set()
            await go.wait()
            await calls_directly(session, batches)

        second = asyncio.create_task(do_part(parts[1], later))
        await is_open.wait()
        with pytest.raises(ConnectionError):
            await do_part(parts[0], half)
        go.set()
        await second
        lease.release()

    asyncio.run(main())
    assert sorted(calls) == list(range(8))
