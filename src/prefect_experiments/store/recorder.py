"""The writer: one thread that commits whatever has come in, again and again.

Grouping by time would make results wait; grouping by "what came in during the last commit"
makes groups as large as the load needs and as small as it allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
import time
from collections import deque
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.backoff import backoff
from prefect_experiments.errors import (
    ExperimentsError,
    InvalidInput,
    InvalidSetting,
    NotFound,
    StoreLost,
    StoreUnavailable,
)
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.store.database import Database
from prefect_experiments.store.ingest import delete_evaluations_of_failed, evaluated_failures
from prefect_experiments.store.leases import Lease
from prefect_experiments.store.patience import FIRST_PAUSE_S, GIVE_UP_AFTER_S, LONGEST_PAUSE_S, SAID_AFTER_S
from prefect_experiments.store.payments import Paid, add_replaced_cost, made_again, paid_before
from prefect_experiments.store.rows import evaluation_forms, evaluation_values, run_forms, run_values
from prefect_experiments.store.tables import evaluations, experiment_runs, experiments

MOST_ROWS_A_COMMIT = 1000
MOST_ROWS_WAITING = 20_000
SYNC_EVERY_S = 1.0
LOOK_EVERY_S = 0.25

# The first ok run of a key stays: what a process that has lost its lease had under way must not replace what the next
# one has evaluated.
_FAILED = experiment_runs.c.error.is_not(None)

_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Recorder:
    """Writes the results of one experiment; the engine's `Sink`.

    Use as an async context manager: leaving it waits until everything is durable.

    Args:
        database: where to.
        experiment_id: whose results.
        replace: evaluators whose earlier evaluations on a run are removed when a new one comes, for
            when an evaluator that gives several named evaluations runs again.
        lease: of the process that makes the calls.
    """

    def __init__(
        self, database: Database, experiment_id: str, replace: Sequence[str] = (), lease: Lease | None = None
    ) -> None:
        self._database = database
        self._lease = lease
        self._experiment_id = experiment_id
        self._replace = frozenset(replace)
        self._put_run = database.upsert(experiment_runs, where=_FAILED)
        self._put_evaluation = database.upsert(evaluations)
        self._void: set[tuple[int, int]] | None = None  # failed runs that somebody has evaluated; not looked yet
        self._paid: dict[Paid, float] | None = None  # what is known to have cost money before; not looked yet
        self._runs: deque[tuple[RunRecord, _Waiter]] = deque()
        self._evaluations: deque[Sequence[EvaluationRecord]] = deque()  # one entry is never split
        self._flushes: deque[tuple[int, int, _Waiter]] = deque()  # runs and evaluations to be durable; who waits
        self._runs_added = self._runs_durable = 0
        self._added = self._durable = 0  # evaluations
        self._wake = threading.Condition()
        self._closing = False
        self._failure: Exception | None = None
        self._synced_at = time.monotonic()
        self._unsynced = False  # whether a power cut could undo a commit, and the experiment does not tell of it yet
        self._trying_since: float | None = None  # since when a commit is under way
        self._trouble = ""  # what the database said to it last
        self._looking: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._work, name="experiment-recorder", daemon=True)

    async def __aenter__(self) -> Recorder:
        self._thread.start()
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        try:
            await asyncio.to_thread(self._thread.join)
        finally:
            if self._looking is not None:
                self._looking.cancel()
        if self._failure is not None and error_type is None:
            raise self._failure

    async def ready(self) -> None:
        """Return when a further call may begin: what it gives will be kept, and no other process makes it.

        Raises:
            StoreUnavailable: the store has given up.
            ExperimentInUse: another process has taken the experiment over.
            NotFound: it was deleted.
        """
        if self._failure is not None:
            raise self._failure
        if self._lease is not None and self._lease.is_in_doubt():
            await asyncio.to_thread(self._lease.confirm)
        if self._is_stuck():
            await self.flush()

    def _is_stuck(self) -> bool:
        since = self._trying_since
        return since is not None and time.monotonic() - since > SAID_AFTER_S

    async def _look(self) -> None:
        """Say when the database takes long: from here, where whoever watches the experiment hears of it."""
        outage = self._database.outage
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for since in (self._trying_since, None if self._lease is None else self._lease.trying_since):
                if since is not None and time.monotonic() - since > SAID_AFTER_S:
                    outage.say(since, self._trouble)

    async def write_run(self, run: RunRecord) -> None:
        """Take a run; return when it is durable.

        Raises:
            StoreUnavailable: the database could not be written to for a minute.
        """
        waiter = self._waiter()
        with self._wake:
            self._refuse_if_broken()
            self._runs.append((run, waiter))
            self._runs_added += 1
            self._wake.notify()
        await waiter[1]

    async def write_evaluations(self, evaluations: Sequence[EvaluationRecord]) -> None:
        """Take evaluations; return when there is room for more, and while the database takes long, when it has them."""
        with self._wake:
            self._refuse_if_broken()
            self._evaluations.append(evaluations)
            self._added += len(evaluations)
            self._wake.notify()
        if self._added - self._durable > MOST_ROWS_WAITING or self._is_stuck():
            await self.flush()

    async def flush(self) -> None:
        """Return when everything taken until now is durable."""
        waiter = self._waiter()
        with self._wake:
            self._refuse_if_broken()
            self._flushes.append((self._runs_added, self._added, waiter))
            self._wake.notify()
        await waiter[1]

    def _waiter(self) -> _Waiter:
        loop = asyncio.get_running_loop()
        return loop, loop.create_future()

    def _refuse_if_broken(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise RuntimeError("the recorder is closed: nothing more can be written with it")

    def _work(self) -> None:
        while True:
            with self._wake:
                while not (self._runs or self._evaluations or self._flushes or self._closing):
                    if not self._wake.wait(self._seconds_to_sync()):
                        break
                if self._closing and not (self._runs or self._evaluations or self._flushes or self._unsynced):
                    break
                runs = [self._runs.popleft() for _ in range(min(len(self._runs), MOST_ROWS_A_COMMIT))]
                evaluations: list[EvaluationRecord] = []
                while self._evaluations and len(evaluations) < MOST_ROWS_A_COMMIT:
                    evaluations.extend(self._evaluations.popleft())
            try:
                if runs or evaluations or (self._unsynced and self._sync_is_due()):
                    self._commit([row for row, _ in runs], evaluations)
                else:
                    self._database.look()
            except Exception as error:  # noqa: BLE001 - handed to whoever waits for these rows
                self._fail(error, [waiter for _, waiter in runs])
                return
            self._runs_durable += len(runs)
            self._durable += len(evaluations)
            _release([waiter for _, waiter in runs] + self._flushed())
        self._database.settle()

    def _flushed(self) -> list[_Waiter]:
        with self._wake:
            waiters = []
            while self._flushes and self._is_durable(*self._flushes[0][:2]):
                waiters.append(self._flushes.popleft()[2])
            return waiters

    def _is_durable(self, runs: int, evaluations: int) -> bool:
        return runs <= self._runs_durable and evaluations <= self._durable

    def _commit(self, runs: list[RunRecord], evaluations: list[EvaluationRecord]) -> None:
        """Write one group, trying again while the database is away."""
        began, failures = time.monotonic(), 0
        sync = self._sync_is_due()
        self._trying_since = began
        one_by_one = False
        while True:
            try:
                with self._database.write(sync=sync) as connection:
                    self._keep_what_was_paid(connection, runs, evaluations)
                    self._write_runs(connection, runs, one_by_one)
                    self._write_evaluations(connection, evaluations, one_by_one)
                    if sync:
                        self._touch(connection)
            except InvalidInput as error:
                if one_by_one or type(error) is not InvalidInput:
                    raise
                one_by_one = True  # a value that the database refuses is its row's error, and no other row's
            except StoreUnavailable as error:
                if time.monotonic() - began > GIVE_UP_AFTER_S:
                    raise
                self._trouble = error.reason
                failures += 1
                time.sleep(backoff(failures, FIRST_PAUSE_S, LONGEST_PAUSE_S))
            else:
                self._trying_since, self._trouble = None, ""
                self._database.outage.over()
                if self._void:
                    self._void.difference_update(run[:2] for run in runs)
                if self._paid:
                    for key in made_again(runs, evaluations):
                        self._paid.pop(key, None)
                self._unsynced = not sync
                if sync:
                    self._synced_at = time.monotonic()
                return

    def _keep_what_was_paid(self, connection: Connection, runs: list[RunRecord], given: list[EvaluationRecord]) -> None:
        """What results that are made again have cost stays known: with their rows, it would be forgotten."""
        if self._paid is None:
            self._paid = paid_before(connection, self._experiment_id)
        if self._paid and (cost := sum(self._paid.get(key, 0.0) for key in made_again(runs, given))):
            add_replaced_cost(connection, self._experiment_id, cost)

    def _seconds_to_sync(self) -> float:
        """How long to wait before what is committed must be synced; where it is, before the next look at the file."""
        return max(0.0, self._synced_at + SYNC_EVERY_S - time.monotonic()) if self._unsynced else SYNC_EVERY_S

    def _sync_is_due(self) -> bool:
        return self._closing or time.monotonic() - self._synced_at >= SYNC_EVERY_S

    def _touch(self, connection: Connection) -> None:
        """Say when the experiment last changed; and give an otherwise empty transaction something to sync."""
        mine = experiments.c.id == self._experiment_id
        connection.execute(experiments.update().where(mine).values(updated_at=time.time()))

    def _write_runs(self, connection: Connection, runs: list[RunRecord], one_by_one: bool) -> None:
        if runs:
            if not self._database.is_sqlite:  # two processes that lock rows in one order never wait for each other
                runs = sorted(runs, key=lambda run: run.key)
            self._delete_void(connection, {run[:2] for run in runs})
            if one_by_one:
                self._database.write_each(connection, self._put_run, (run_forms(self._experiment_id, r) for r in runs))
                return
            rows = [run_values(self._experiment_id, run) for run in runs]
            self._database.write_many(connection, self._put_run, rows)

    def _delete_void(self, connection: Connection, made: set[tuple[int, int]]) -> None:
        """What another client has said of a failed run is not said of the one that takes its place."""
        if self._void is None:
            self._void = evaluated_failures(connection, self._experiment_id)
        if void := sorted(self._void & made):
            delete_evaluations_of_failed(connection, self._experiment_id, void)

    def _write_evaluations(self, connection: Connection, given: list[EvaluationRecord], one_by_one: bool) -> None:
        if not given:
            return
        if not self._database.is_sqlite:
            given = sorted(given, key=lambda one: (one.position, one.repetition_number, one.name))
        replaced = {(*one.key, one.evaluator) for one in given if one.evaluator in self._replace}
        if replaced:
            connection.execute(
                evaluations.delete().where(
                    evaluations.c.experiment_id == self._experiment_id,
                    evaluations.c.position == sa.bindparam("p"),
                    evaluations.c.repetition_number == sa.bindparam("r"),
                    evaluations.c.evaluator == sa.bindparam("e"),
                ),
                [{"p": p, "r": r, "e": e} for p, r, e in sorted(replaced)],
            )
        if one_by_one:
            forms = (evaluation_forms(self._experiment_id, one) for one in given)
            self._database.write_each(connection, self._put_evaluation, forms)
            return
        rows = [evaluation_values(self._experiment_id, one) for one in given]
        self._database.write_many(connection, self._put_evaluation, rows)

    def _fail(self, error: Exception, waiters: list[_Waiter]) -> None:
        if isinstance(error, NotFound):
            error = NotFound(f"experiment {self._experiment_id} was deleted from the store while it ran")
        elif isinstance(error, ExperimentsError):
            error = self._with_what_is_lost(error)
        with self._wake:
            self._failure = error
            waiters += [waiter for _, waiter in self._runs]
            waiters += [waiter for *_, waiter in self._flushes]
        _release(waiters, error)

    def _with_what_is_lost(self, error: ExperimentsError) -> ExperimentsError:
        """The same error, whose text tells what it has cost."""
        runs, given = self._runs_added - self._runs_durable, self._added - self._durable
        if (isinstance(error, StoreLost) and error.saved_in is None) or isinstance(error, InvalidSetting):
            runs, given = self._runs_added, self._added  # the file is not what it was
        parts = [f"{n} {what}{'s' * (n > 1)}" for n, what in ((runs, "finished run"), (given, "evaluation")) if n]
        lost = (
            f"{' and '.join(parts)} of this process {'is' if runs + given == 1 else 'are'} not kept"
            if parts
            else "every finished run is kept"
        )
        told = copy.copy(error)
        told.args = (f"{str(error).rstrip('.')}. Of experiment {self._experiment_id}, {lost}.",)
        return told


def _release(waiters: list[_Waiter], error: Exception | None = None) -> None:
    """Wake everyone who waits, with one call into each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for loop, future in waiters:
        by_loop.setdefault(loop, []).append(future)
    for loop, futures in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits in it
            loop.call_soon_threadsafe(_settle, futures, error)


def _settle(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
