"""Leading the workers of an experiment: telling them what to do, starting them again, knowing how far they are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from prefect import get_run_logger

from prefect_experiments.errors import BudgetSpent, ExperimentsError, StoreUnavailable, WorkCalledOff
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.sharing import Part, parts_of, write_down
from prefect_experiments.interruptions import in_thread
from prefect_experiments.orchestration.workers.crew import Crew, WorkerGone
from prefect_experiments.orchestration.workers.deaths import Deaths
from prefect_experiments.orchestration.workers.ended import end_runs_of
from prefect_experiments.orchestration.workers.engines import crew_of
from prefect_experiments.store.leases import letting_go
from prefect_experiments.store.shared_work import Done

LOOK_S = 0.5
ENDED_WITHIN_S = 20.0
"""So long a worker is waited for when everything is done: until its code has left what it is in."""

STOPPED_WITHIN_S = 10.0
"""So long, when the work has stopped: it begins nothing any more, and keeps what it has."""

LET_GO_WITHIN_S = 5.0

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
        self._deaths = Deaths(session)
        self._is_over = self._is_away = False

    async def done(self) -> None:
        """Have everything done."""
        count = len(self._parts)
        get_run_logger().info("Starting %d worker%s, which takes some seconds.", count, "s" * (count > 1))
        async with self._counted(), self._crew.entered():
            at_work = {asyncio.create_task(self._kept_at_work(part)) for part in self._parts}
            try:
                await self._all(at_work)
            except BaseException as error:
                self._is_over = True
                self._is_away = isinstance(error, StoreUnavailable)  # it was waited for, by everybody
                if not self._is_away:
                    why = str(error) if isinstance(error, ExperimentsError) else "it was interrupted"
                    await in_thread(self._store.shared_work.stop, self._id, self._leader, why)
                await _wait(at_work, STOPPED_WITHIN_S)
                raise
            finally:
                await self._ended(at_work)
        if self._over_budget is not None and not await asyncio.to_thread(self._is_done):
            raise self._over_budget

    async def _all(self, at_work: set[asyncio.Task[None]]) -> None:
        left, quiet = set(at_work), 0.0
        while left:
            ended, left = await asyncio.wait(left, timeout=LOOK_S, return_when=asyncio.FIRST_EXCEPTION)
            if self._session.lease is not None and self._session.lease.lost is not None:
                raise self._session.lease.lost  # another process leads by now
            _raise_first(ended)
            # One that is cut off, or stopped, may never say that it has ended. What it had is done by others.
            is_done = bool(left) and await asyncio.to_thread(self._is_done)
            quiet = quiet + LOOK_S if is_done else 0.0
            if self._deaths.any and quiet > LET_GO_WITHIN_S and not await asyncio.to_thread(self._has_workers):
                return  # whoever takes a dead one's place has only begun to start
            if quiet > ENDED_WITHIN_S:
                logger.warning("Workers that no longer answer are not waited for: everything is done.")
                return

    async def _ended(self, at_work: set[asyncio.Task[None]]) -> None:
        """End the workers that have not ended by themselves; what cannot be ended is left."""
        self._is_over = True
        if any(not task.done() for task in at_work):
            await self._crew.let_go()
            await _wait(at_work, LET_GO_WITHIN_S)
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)

    def _is_done(self) -> bool:
        return self._store.shared_work.is_done(self._id)

    def _has_workers(self) -> bool:
        return self._store.shared_work.has_workers(self._id, self._leader)

    async def _kept_at_work(self, part: Part) -> None:
        """Have one worker do its part, and start it again where it is gone."""
        while True:
            try:
                await self._crew.work(part)
            except BudgetSpent as error:
                self._over_budget = error
            except WorkerGone as gone:
                await end_runs_of(gone.run_id, str(gone))
                if self._is_over or await asyncio.to_thread(self._is_done):
                    return
                if (lost := await asyncio.to_thread(self._deaths.another, part.worker, str(gone))) is not None:
                    raise lost from None
                logger.warning("Worker %d is gone (%s): another one takes its place.", part.worker, gone)
                continue
            return

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
            if not self._is_away:
                # Clusters do by themselves again what a worker has not ended, and nobody here hears of it.
                await in_thread(self._take_count, True)

    async def _keep_counting(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self._take_count)

    def _take_count(self, is_last: bool = False) -> None:
        done = sum(self._store.shared_work.done(self._id).values(), Done())
        self._session.by_workers = self._deaths.corrected(done) if is_last or self._deaths.any else done


async def _wait(at_work: set[asyncio.Task[None]], seconds: float) -> None:
    if left := {task for task in at_work if not task.done()}:
        await asyncio.wait(left, timeout=seconds)


def _raise_first(ended: set[asyncio.Task[None]]) -> None:
    """Raise what a worker met; that others were called off for it says nothing."""
    errors = [error for task in ended if (error := task.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, WorkCalledOff)):
        raise error
