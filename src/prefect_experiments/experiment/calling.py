"""Making the calls of an experiment: one batch after the other, evaluating one while the next is run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from prefect_experiments.engine import Batch
from prefect_experiments.errors import BudgetSpent
from prefect_experiments.experiment.lifespans import lifespans
from prefect_experiments.experiment.session import Session

MOST_BATCHES_UNDER_WAY = 4
LOOK_S = 0.5

RunTask = Callable[[Batch, Callable[[], None]], Awaitable[None]]
Evaluate = Callable[[Batch], Awaitable[None]]


class Batches(Protocol):
    """Where batches come from."""

    async def take(self) -> Batch | None:
        """The next batch; ``None`` where there is none now."""

    async def are_over(self) -> bool:
        """Whether there will be none any more."""

    async def finish(self, batch: Batch) -> None:
        """Everything of a batch is done, and durable."""


class OwnBatches:
    """All batches of an experiment, for one process.

    Args:
        batches: in order.
    """

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches

    async def take(self) -> Batch | None:
        """The next batch."""
        return next(self._batches, None)

    async def are_over(self) -> bool:
        """Whether there are none left, where `take` has just found none."""
        return True

    async def finish(self, batch: Batch) -> None:
        """Nobody else asks."""


async def make_calls(session: Session, run_task: RunTask, evaluate: Evaluate, batches: Batches | None = None) -> None:
    """Run and evaluate every batch: evaluating one overlaps with running the next.

    Args:
        session: whose calls.
        run_task: runs the task on a batch, and says when the next may begin.
        evaluate: evaluates a batch.
        batches: what to do; by default all of the experiment.

    Raises:
        BudgetSpent: the budget is spent.
    """
    source = batches or OwnBatches(session.batches())
    under_way = asyncio.Semaphore(MOST_BATCHES_UNDER_WAY)

    async def batch_through(batch: Batch, started: asyncio.Event) -> None:
        async with under_way:
            try:
                if await session.lacks_runs(batch):
                    await run_task(batch, started.set)
                    wanted = bool(session.evaluators)
                else:
                    wanted = await session.lacks_evaluations(batch)
            finally:
                started.set()
            if wanted:
                await evaluate(batch)
            if session.stopped is None:
                await source.finish(batch)

    # Left when everything is durable: what leaving them does can lose nothing.
    async with lifespans(await asyncio.to_thread(session.with_lifespans)), session.recording():
        pending: list[asyncio.Task[None]] = []
        try:
            while session.stopped is None:
                batch = await source.take()
                if batch is None:
                    if await source.are_over():
                        break
                    await _a_while(pending)
                    continue
                # The next batch begins when this one has started its last calls, so that the
                # slots never stand empty, and not earlier, so that batches finish one by one.
                started = asyncio.Event()
                pending.append(asyncio.create_task(batch_through(batch, started)))
                await started.wait()
                await _raise_first(pending)
            await asyncio.gather(*pending)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
    if session.stopped is not None:
        raise BudgetSpent(f"stopped: {session.stopped}")


async def _a_while(pending: list[asyncio.Task[None]]) -> None:
    """Wait for a batch of ours to end, or for others to end theirs."""
    if pending:
        await asyncio.wait(pending, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        await _raise_first(pending)
    else:
        await asyncio.sleep(LOOK_S)


async def _raise_first(pending: list[asyncio.Task[None]]) -> None:
    """Raise what a batch that has ended raised; forget those that ended well."""
    for task in [task for task in pending if task.done()]:
        pending.remove(task)
        await task
