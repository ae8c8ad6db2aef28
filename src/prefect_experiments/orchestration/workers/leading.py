"""Leading the workers of an experiment: telling them what to do, starting them again, knowing how far they are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from prefect_experiments.errors import BudgetSpent, ExperimentsError, WorkCalledOff, WorkersLost
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.sharing import Part, parts_of, write_down
from prefect_experiments.interruptions import in_thread
from prefect_experiments.orchestration.workers.crew import Crew, WorkerGone
from prefect_experiments.orchestration.workers.ended import end_runs_of
from prefect_experiments.orchestration.workers.engines import crew_of
from prefect_experiments.store.leases import letting_go
from prefect_experiments.store.shared_work import Done

MOST_STARTS = 3
"""So often a worker is started that ends before anything was done."""

LOOK_S = 0.5
ENDED_WITHIN_S = 20.0
"""So long a worker is waited for that is to end: it begins nothing any more."""

logger = logging.getLogger("prefect_experiments")


async def lead(session: Session, task_runner: Any, workers: int, trace_attributes: Mapping[str, str]) -> None:
    """Have workers make the calls that an experiment lacks.

    Args:
        session: of the experiment.
        task_runner: as it was asked for.
        workers: how many there are to be at most.
        trace_attributes: what stands on the root span of every trace.

    Raises:
        WorkersLost: they end again and again before they have done anything.
        ExperimentsError: what one of them met.
    """
    lease = session.lease
    assert lease is not None, "whoever leads holds the lease"
    async with letting_go(lease):
        if not await asyncio.to_thread(session.has_calls_to_make):
            return
        parts = await asyncio.to_thread(parts_of, session, workers, lease.holder, dict(trace_attributes))
        crew = crew_of(task_runner, len(parts))
        await asyncio.to_thread(write_down, session, parts, [crew.told(part) for part in parts])
        await _Leading(session, crew, parts, lease.holder).done()


class _Leading:
    """The work of some workers, from when they are started until they have ended."""

    def __init__(self, session: Session, crew: Crew, parts: list[Part], leader: str) -> None:
        self._session, self._crew, self._parts, self._leader = session, crew, parts, leader
        self._store, self._id = session.store, session.spec.experiment_id
        self._over_budget: BudgetSpent | None = None

    async def done(self) -> None:
        """Have everything done."""
        async with self._counted(), self._crew.entered():
            at_work = {asyncio.create_task(self._kept_at_work(part)) for part in self._parts}
            try:
                await self._all(at_work)
            except BaseException as error:
                why = str(error) if isinstance(error, ExperimentsError) else "it was interrupted"
                await in_thread(self._store.shared_work.stop, self._id, self._leader, why)
                raise
            finally:
                await _ended(at_work)
        if self._over_budget is not None:
            raise self._over_budget

    async def _all(self, at_work: set[asyncio.Task[None]]) -> None:
        left, quiet = set(at_work), 0.0
        while left:
            ended, left = await asyncio.wait(left, timeout=LOOK_S, return_when=asyncio.FIRST_EXCEPTION)
            _raise_first(ended)
            # One that is cut off, or stopped, may never say that it has ended. What it had is done by others.
            is_done = bool(left) and await asyncio.to_thread(self._is_done)
            quiet = quiet + LOOK_S if is_done else 0.0
            if quiet > ENDED_WITHIN_S:
                logger.warning("Workers that no longer answer are not waited for: everything is done.")
                return

    def _is_done(self) -> bool:
        return self._store.shared_work.is_done(self._id)

    async def _kept_at_work(self, part: Part) -> None:
        """Have one worker do its part, and start it again where it is gone."""
        starts, before = 1, await asyncio.to_thread(self._count)
        while True:
            try:
                await self._crew.work(part)
            except BudgetSpent as error:
                self._over_budget = error
            except WorkerGone as gone:
                await end_runs_of(gone.run_id, str(gone))
                if await asyncio.to_thread(self._is_done):
                    return
                count = await asyncio.to_thread(self._count)
                starts, before = (1 if count > before else starts + 1), count
                if starts > MOST_STARTS:
                    raise WorkersLost(
                        f"worker {part.worker} of experiment {self._id} ended {MOST_STARTS} times before anything was "
                        f"done ({gone}). What had finished is kept: see to the reason, which may be memory, and go on "
                        f"with `prefect-experiments resume {self._id}`"
                    ) from None
                logger.warning("Worker %d is gone (%s): another one takes its place.", part.worker, gone)
                continue
            return

    def _count(self) -> int:
        """What has been done until now, as the store knows it."""
        done = sum(self._store.shared_work.done(self._id).values(), Done())
        finished = self._store.results.count_finished(self._id, self._session.record.experiment.repetitions)
        return finished + done.runs + done.evaluations

    @contextlib.asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        """Whoever watches sees what the workers do."""
        self._session.by_workers = Done()
        counting = asyncio.create_task(self._keep_counting())
        try:
            yield
        finally:
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
            await in_thread(self._take_count)

    async def _keep_counting(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self._take_count)

    def _take_count(self) -> None:
        self._session.by_workers = sum(self._store.shared_work.done(self._id).values(), Done())


async def _ended(at_work: set[asyncio.Task[None]]) -> None:
    """Wait for workers that are to end; those that do not are left."""
    if left := {task for task in at_work if not task.done()}:
        await asyncio.wait(left, timeout=ENDED_WITHIN_S)
    for task in at_work:
        task.cancel()
    await asyncio.gather(*at_work, return_exceptions=True)


def _raise_first(ended: set[asyncio.Task[None]]) -> None:
    """Raise what a worker met; that others were called off for it says nothing."""
    errors = [error for task in ended if (error := task.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, WorkCalledOff)):
        raise error
