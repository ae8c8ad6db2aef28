"""An experiment that several workers share: who makes which range of its calls, and how far they are.

One process leads: the holder of the experiment's lease on calls. It writes down what is to be done; each worker takes
one range of examples after the other, and tells what it has done. A worker has a lease of its own, so that its ranges
are taken by others where it is gone. Where the leader is gone, its workers stop: whoever goes on with the experiment
leads others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.errors import ExperimentInUse, ExperimentsError, WorkCalledOff
from prefect_experiments.store.database import Database
from prefect_experiments.store.leases import NOBODY, SILENT_S, Lease, LeaseStore
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.processes import Process
from prefect_experiments.store.tables import leases, shared_work, work_ranges, workers

WORKER_BEAT_S = 1.0
"""So long after it was stopped, a worker begins nothing more; and so old is what it has told of itself."""

# A range is so large a part of what is left for each worker, so that the last ones are small and end together.
_PART = 2


@dataclass(frozen=True, slots=True)
class Range:
    """A part of an experiment's examples, counted from 0 in dataset order: from `first` until before `after`."""

    first: int
    after: int


@dataclass(frozen=True, slots=True)
class Done:
    """What calls have been made, by a worker or by all of them.

    Attributes:
        runs: calls of the task that have ended.
        run_errors: those of them that failed.
        evaluations: evaluator calls that have ended.
        abandoned: calls that nobody waits for any more, and nobody could end.
        spent: US dollars.
        trouble: what keeps calls from ending.
    """

    runs: int = 0
    run_errors: int = 0
    evaluations: int = 0
    abandoned: int = 0
    spent: float = 0.0
    trouble: str = ""

    def __add__(self, other: Done) -> Done:
        numbers = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "trouble"}
        # Each worker's own words count its calls alone.
        both = self.trouble and other.trouble and not self.trouble.endswith(_AND_OTHERS)
        return Done(**numbers, trouble=(self.trouble or other.trouble) + (_AND_OTHERS if both else ""))


_AND_OTHERS = " in one of the workers, and more in others"
_DONE = tuple(f.name for f in fields(Done))


@all_patient
class SharedWorkStore:
    """The experiments that are shared."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, experiment_id: str, leader: str, *, total: int, smallest: int, largest: int, parts: Sequence[str | None]
    ) -> None:
        """Write down what is to be done, in the place of what another leader did.

        Args:
            experiment_id: the experiment.
            leader: the holder of the lease on its calls.
            total: how many examples there are.
            smallest: so many examples are in a range at least, where there are as many.
            largest: so many at most.
            parts: for each worker, what it is to do, where it cannot be told otherwise.
        """
        c, before = leases.c, work_ranges.c.experiment_id == experiment_id
        row = {"leader": leader, "workers": len(parts), "next": 0, "total": total, "smallest": smallest}
        row |= {"experiment_id": experiment_id, "largest": largest, "stopped": None}
        nothing = {name: getattr(Done(), name) for name in _DONE}
        with self._database.write(sync=False) as connection:
            connection.execute(work_ranges.delete().where(before))
            connection.execute(workers.delete().where(workers.c.experiment_id == experiment_id))
            connection.execute(leases.delete().where(c.experiment_id == experiment_id, c.purpose.startswith("worker ")))
            connection.execute(self._database.upsert(shared_work), [row])
            connection.execute(
                workers.insert(),
                [
                    {"experiment_id": experiment_id, "worker": number, "part": part, **nothing}
                    for number, part in enumerate(parts, start=1)
                ],
            )

    def stop(self, experiment_id: str, leader: str, why: str) -> None:
        """Have the workers begin nothing more; the first reason counts."""
        c = shared_work.c
        mine = [c.experiment_id == experiment_id, c.leader == leader, c.stopped.is_(None)]
        with self._database.write(sync=False) as connection:
            connection.execute(shared_work.update().where(*mine).values(stopped=why))

    def done(self, experiment_id: str) -> Mapping[int, Done]:
        """By worker, what it has done."""
        query = sa.select(workers.c.worker, *(workers.c[name] for name in _DONE))
        with self._database.read() as connection:
            rows = connection.execute(query.where(workers.c.experiment_id == experiment_id)).all()
        return {number: Done(*row) for number, *row in rows}

    def is_done(self, experiment_id: str) -> bool:
        """Whether every range is taken, and done."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(shared_work).where(shared_work.c.experiment_id == experiment_id)).first()
            if row is None or row.next < row.total:
                return False
            c = work_ranges.c
            query = sa.select(c.first).where(c.experiment_id == experiment_id, c.done == 0).limit(1)
            return connection.execute(query).first() is None

    def has_workers(self, experiment_id: str, leader: str) -> bool:
        """Whether some worker of a leader's is at work, who lives as far as is known."""
        c = leases.c
        theirs = c.purpose.startswith("worker ") & c.purpose.endswith(Process.of(leader).token)
        query = sa.select(c.holder).where(c.experiment_id == experiment_id, theirs, c.holder != NOBODY)
        with self._database.read() as connection:
            return any(Process.of(holder).lives() is not False for holder in connection.execute(query).scalars())

    def shared_by(self, experiment_id: str) -> int:
        """How many workers have shared an experiment when it was last gone on with; 0 where it was not shared."""
        c = shared_work.c
        with self._database.read() as connection:
            found = connection.execute(sa.select(c.workers).where(c.experiment_id == experiment_id)).scalar()
        return int(found or 0)

    def under_way(self, experiment_id: str) -> Mapping[Range, int]:
        """The ranges that are taken and not done, and which worker has each."""
        c = work_ranges.c
        query = sa.select(c.first, c.after, c.worker).where(c.experiment_id == experiment_id, c.done == 0)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(c.first)).all()
        return {Range(row.first, row.after): row.worker for row in rows}

    def part(self, experiment_id: str, worker: int) -> str | None:
        """What a worker is to do; ``None`` where nobody has written that down."""
        c = workers.c
        query = sa.select(c.part).where(c.experiment_id == experiment_id, c.worker == worker)
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else str(found)

    def stopped(self, experiment_id: str) -> str | None:
        """Why nothing more is to be called; ``None`` where it is."""
        query = sa.select(shared_work.c.stopped).where(shared_work.c.experiment_id == experiment_id)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def fail(self, experiment_id: str, worker: int, leader: str, error: str) -> None:
        """Keep what a worker met, for the process that leads it and cannot be told otherwise; the first counts."""
        c, w = workers.c, shared_work.c
        led = sa.select(w.leader).where(w.experiment_id == experiment_id, w.leader == leader).exists()
        mine = [c.experiment_id == experiment_id, c.worker == worker, c.error.is_(None), led]
        with self._database.write() as connection:
            connection.execute(workers.update().where(*mine).values(error=error))

    def errors(self, experiment_id: str) -> Mapping[int, str]:
        """By worker, what it has met, if anything."""
        c = workers.c
        query = sa.select(c.worker, c.error).where(c.experiment_id == experiment_id, c.error.is_not(None))
        with self._database.read() as connection:
            return {row.worker: row.error for row in connection.execute(query)}

    def lease(self, experiment_id: str, worker: int, leader: str) -> Lease:
        """A worker's lease, for others to look at: whether it is left."""
        return _lease(self._database, experiment_id, worker, leader)


class WorkerLease(Lease):
    """A worker's lease on its ranges; kept only while the work is wanted and its leader lives.

    Args:
        database: where the work is.
        experiment_id: the experiment.
        worker: its number, from 1.
        leader: who leads it.
        told: gives what this process has done, to be told.
    """

    def __init__(
        self, database: Database, experiment_id: str, worker: int, leader: str, told: Callable[[], Done] = Done
    ) -> None:
        self.experiment_id, self.worker, self.leader = experiment_id, worker, leader
        self._told = told
        self._before: Done | None = None  # what another process has done as this worker
        self._calls = LeaseStore(database).of_calls(experiment_id)
        self.elsewhere = 0.0
        """US dollars that the others have spent."""
        super().__init__(database, experiment_id, _purpose(worker, leader), SILENT_S)

    @property
    def _pause_s(self) -> float:
        return WORKER_BEAT_S

    def is_held(self, connection: Connection) -> bool:
        """Whether this holds it, as the store has it."""
        seen = self._row(connection)
        return seen is not None and seen.holder == self.holder

    def _try(self) -> bool:
        self._before = None  # whoever was this worker may have told more meanwhile
        return super()._try()

    def release(self) -> None:
        """Tell what was done at last, and let go."""
        with self._lock, contextlib.suppress(ExperimentsError):
            if self._beating is not None and self._lost is None:
                self._renew()
        super().release()

    def _beside(self, connection: Connection) -> None:
        self._ask_leader(connection)
        c = workers.c
        mine = [c.experiment_id == self._experiment_id, c.worker == self.worker]
        if self._before is None:
            row = connection.execute(sa.select(*(c[name] for name in _DONE)).where(*mine)).first()
            self._before = Done(*row) if row is not None else Done()
        all_of_it = self._before + self._told()
        values = {name: getattr(all_of_it, name) for name in _DONE}
        connection.execute(workers.update().where(*mine).values(**values))
        others = sa.select(sa.func.sum(c.spent)).where(c.experiment_id == self._experiment_id, c.worker != self.worker)
        self.elsewhere = float(connection.execute(others).scalar_one() or 0.0) + self._before.spent

    def _ask_leader(self, connection: Connection) -> None:
        c = shared_work.c
        query = sa.select(c.leader, c.stopped).where(c.experiment_id == self._experiment_id)
        row = connection.execute(query).first()
        if row is not None and row.leader == self.leader:
            if row.stopped is not None:
                raise WorkCalledOff(f"nothing more is called: {row.stopped}")
            if self._calls.is_held_by(connection, self.leader):
                return
        raise ExperimentInUse(
            f"the work on experiment {self._experiment_id} is not wanted any more: {Process.of(self.leader)}, which "
            "led it, has ended or was taken over from. What had finished is kept",
            experiment_id=self._experiment_id,
        )


def _purpose(worker: int, leader: str) -> str:
    return f"worker {worker} of {Process.of(leader).token}"


def _lease(database: Database, experiment_id: str, worker: int, leader: str) -> Lease:
    """A worker's lease, for others to look at."""
    return Lease(database, experiment_id, _purpose(worker, leader), SILENT_S)


@all_patient
class Ranges:
    """The ranges of the work that one worker takes, while it holds its lease.

    Args:
        database: where the work is.
        lease: the worker's.
    """

    def __init__(self, database: Database, lease: WorkerLease) -> None:
        self._database, self._lease = database, lease
        self._id, self._worker, self._leader = lease.experiment_id, lease.worker, lease.leader
        self._others: dict[int, Lease] = {}
        self._taken: set[int] = set()

    def take(self) -> Range | None:
        """The next range to work on; ``None`` where there is none now.

        First come those that another process had taken as this worker, then new ones, at last those of others that
        are gone.
        """
        c = work_ranges.c
        with self._database.write(sync=False) as connection:
            work = connection.execute(
                sa.select(shared_work).where(shared_work.c.experiment_id == self._id).with_for_update()
            ).first()
            if work is None or work.leader != self._leader or not self._lease.is_held(connection):
                return None
            query = sa.select(c.first, c.after, c.worker).where(c.experiment_id == self._id, c.done == 0)
            open_ranges = connection.execute(query.order_by(c.first)).all()
            mine = [row for row in open_ranges if row.worker == self._worker and row.first not in self._taken]
            if mine:
                found = Range(mine[0].first, mine[0].after)
            elif work.next < work.total:
                found = _next(work)
                row = {"experiment_id": self._id, "first": found.first, "after": found.after}
                connection.execute(work_ranges.insert(), [{**row, "worker": self._worker, "done": 0}])
                is_this = shared_work.c.experiment_id == self._id
                connection.execute(shared_work.update().where(is_this).values(next=found.after))
            else:
                left = next((row for row in open_ranges if self._can_be_had(connection, row.worker)), None)
                if left is None:
                    return None
                found = Range(left.first, left.after)
                is_this = sa.and_(c.experiment_id == self._id, c.first == found.first)
                connection.execute(work_ranges.update().where(is_this).values(worker=self._worker))
        self._taken.add(found.first)
        return found

    def _can_be_had(self, connection: Connection, worker: int) -> bool:
        """Whether another worker is gone. One that only stood still learns by its lease that it holds nothing more."""
        if worker == self._worker:
            return False
        if worker not in self._others:
            self._others[worker] = _lease(self._database, self._id, worker, self._leader)
        return self._others[worker].is_ended(connection)

    def finish(self, done: Range) -> None:
        """Everything of a range is done, and durable. Where it is another's by now, that one finds so itself."""
        c = work_ranges.c
        is_this = [c.experiment_id == self._id, c.first == done.first, c.worker == self._worker, c.done == 0]
        with self._database.write(sync=False) as connection:
            if self._lease.is_held(connection):
                connection.execute(work_ranges.update().where(*is_this).values(done=1))


def _next(work: sa.Row[Any]) -> Range:
    left = work.total - work.next
    size = max(work.smallest, min(work.largest, -(-left // (_PART * work.workers))))
    return Range(work.next, min(work.total, work.next + size))
