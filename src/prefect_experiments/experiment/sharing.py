"""An experiment shared by several workers: what each is told, and what it does. Knows nothing of Prefect.

The process that leads writes into the store what is to be done. A worker, wherever it is, gets its `Part`, and builds
everything else itself: its session, its engine, its connections. It takes one range of examples after the other from
the store until there is none left. Results go to the store; what it has done is told there once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from prefect_experiments.engine import Batch
from prefect_experiments.errors import ExperimentsError
from prefect_experiments.experiment.calling import make_calls
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.spec import ExperimentSpec
from prefect_experiments.store.leases import letting_go
from prefect_experiments.store.shared_work import Done, Range, Ranges, WorkerLease

if TYPE_CHECKING:
    from prefect_experiments.engine import Pace

LOOK_S = 0.2


class Part(BaseModel):
    """What one worker is told; it travels as JSON.

    Attributes:
        spec: the experiment, with this worker's share of its concurrency.
        worker: its number, from 1.
        workers: how many there are.
        leader: the holder of the experiment's lease on calls, while whose work is wanted.
        trace_attributes: what stands on the root span of every trace.
        spent_before: US dollars that had been spent when the work was begun.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: ExperimentSpec
    worker: int
    workers: int
    leader: str
    trace_attributes: dict[str, str] = {}
    spent_before: float = 0.0

    def to_json(self) -> str:
        """As it travels.

        Raises:
            InvalidInput: the task or an evaluator has no reference and cannot be pickled.
        """
        spec = ExperimentSpec.from_json(self.spec.to_json())
        return self.model_copy(update={"spec": spec}).model_dump_json()


def shares(concurrency: int, workers: int) -> list[int]:
    """The concurrency of each of so many workers, or of fewer, where there is not one call for each."""
    workers = min(workers, concurrency)
    each, more = divmod(concurrency, workers)
    return [each + (number < more) for number in range(workers)]


def parts_of(session: Session, workers: int, leader: str, trace_attributes: dict[str, str] | None = None) -> list[Part]:
    """What each worker is told; of fewer workers where there is not enough to do.

    Args:
        session: of the experiment, in the process that leads; it has calls to make.
        workers: how many there are to be at most.
        leader: the holder of the lease on its calls.
        trace_attributes: what stands on the root span of every trace.
    """
    spec, examples = session.spec, len(session.missing.positions)
    spent = session.store.results.spending(spec.experiment_id).spent if spec.options.budget is not None else 0.0
    found = shares(spec.options.concurrency, min(workers, examples))
    return [
        Part(
            spec=spec.model_copy(update={"options": spec.options.model_copy(update={"concurrency": share})}),
            worker=number,
            workers=len(found),
            leader=leader,
            trace_attributes=trace_attributes or {},
            spent_before=spent,
        )
        for number, share in enumerate(found, start=1)
    ]


def write_down(session: Session, parts: list[Part], texts: list[str | None]) -> None:
    """Write into the store what is to be done."""
    options, repetitions = parts[0].spec.options, session.record.experiment.repetitions
    largest = session.missing.batch_size(options)
    session.store.shared_work.begin(
        session.spec.experiment_id,
        parts[0].leader,
        total=len(session.missing.positions),
        smallest=min(largest, -(-options.concurrency // repetitions)),
        largest=largest,
        parts=texts,
    )


class SharedBatches:
    """The batches that one worker takes: each is a range of the shared work."""

    def __init__(self, session: Session, ranges: Ranges) -> None:
        self._session, self._ranges = session, ranges
        self._taken: dict[int, Range] = {}

    async def take(self) -> Batch | None:
        """The next; ``None`` where there is none now."""
        found = await asyncio.to_thread(self._ranges.take)
        if found is None:
            return None
        number = len(self._taken) + 1
        self._taken[number] = found
        return Batch(number, tuple(self._session.missing.positions[found.first : found.after]))

    async def are_over(self) -> bool:
        """Whether all workers have done everything."""
        return await asyncio.to_thread(self._session.store.shared_work.is_done, self._session.spec.experiment_id)

    async def finish(self, batch: Batch) -> None:
        """Have it known that nobody needs to do it any more."""
        await asyncio.to_thread(self._ranges.finish, self._taken[batch.number])


Calls = Callable[[Session, SharedBatches], Awaitable[None]]


async def calls_directly(session: Session, batches: SharedBatches) -> None:
    """Make the calls."""
    await make_calls(session, session.run_batch, session.evaluate_batch, batches)


async def do_part(part: Part, calls: Calls = calls_directly, pace: Pace | None = None) -> Done:
    """Do a worker's part, until everything is done; gives what calls this process has made.

    Args:
        part: what is to be done.
        calls: makes the calls.
        pace: at which the calls of several flows together may start.

    Raises:
        NotFound: the experiment is not in the store.
        InvalidReference: the task or an evaluator is not where the spec says.
        InvalidSetting: the store or the backend is not what this process's settings lead to.
        WorkCalledOff: the experiment has stopped.
        ExperimentInUse: another process is this worker, or the one that led it is gone.
        ExperimentStopped: a task failed, and that is to stop the experiment.
        BudgetSpent: the budget is spent.
    """
    spec, session = part.spec, None
    store = await asyncio.to_thread(spec.open_store)

    def told() -> Done:
        return Done() if session is None else session.made()

    lease = WorkerLease(store.database, spec.experiment_id, part.worker, part.leader, told)
    async with letting_go(lease):
        await lease.take()
        more = {"trace_attributes": part.trace_attributes, "spent_before": part.spent_before}
        session = await asyncio.to_thread(Session.open, spec, lease, pace=pace, shared=True, **more)
        ranges = Ranges(store.database, lease)
        async with _while_wanted(lease, session):
            await calls(session, SharedBatches(session, ranges))
    return told()


@contextlib.asynccontextmanager
async def _while_wanted(lease: WorkerLease, session: Session) -> AsyncIterator[None]:
    """While this is entered, calls that are under way end as soon as they are not wanted any more.

    Raises:
        ExperimentsError: why they are not.
    """
    calls = asyncio.current_task()
    assert calls is not None
    lost: list[ExperimentsError] = []

    async def watch() -> None:
        while (error := lease.lost) is None:
            session.spent_elsewhere(lease.elsewhere)
            await asyncio.sleep(LOOK_S)
        lost.append(error)
        calls.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not lost or calls.uncancel():
            raise
        raise lost[0] from None
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
