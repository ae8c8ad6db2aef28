"""The way of an experiment through its steps: which begins when, and what overlaps."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from prefect_experiments.engine import Batch
from prefect_experiments.experiment.calling import make_calls
from prefect_experiments.experiment.counts import Progress
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.spec import ExperimentSpec
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.interruptions import in_thread
from prefect_experiments.store.leases import letting_go

logger = logging.getLogger("prefect_experiments")


class Steps:
    """The steps of an experiment as plain calls; the flow wraps each into a Prefect task."""

    def __init__(self, work: RunWork) -> None:
        self.work = work

    async def load_dataset(self) -> None:
        """Pin the dataset, make the experiment, plan."""
        await in_thread(self.work.load_dataset)

    async def run_task(self, batch: Batch, nearly_done: Callable[[], None]) -> None:
        """Run the task on one batch."""
        await self.work.session.run_batch(batch, nearly_done)

    async def evaluate(self, batch: Batch) -> None:
        """Evaluate one batch."""
        await self.work.session.evaluate_batch(batch)

    async def make_calls(self) -> None:
        """Make the calls that are missing."""
        await make_calls(self.work.session, self.run_task, self.evaluate)

    def calling(self) -> contextlib.AbstractAsyncContextManager[None]:
        """What is entered while calls are made."""
        return contextlib.nullcontext()

    async def log_results(self) -> None:
        """Push what the backend does not have; the embedded store has everything already."""
        await self.work.push_results(logger.warning)


async def drive(steps: Steps) -> None:
    """Take an experiment through its steps."""
    await steps.load_dataset()
    async with _pushing(steps), steps.calling():
        await steps.make_calls()
    steps.work.done.set()


async def run_spec(spec: ExperimentSpec) -> Progress:
    """Make the calls that an experiment lacks, by the description that another process has made.

    Every result goes to the store at once. Pushing them to the backend, comparing and judging is left to the process
    that began the experiment.

    Raises:
        NotFound: the experiment is not in the store.
        InvalidReference: the task or an evaluator is not where the spec says.
        InvalidSetting: the store or the backend is not what this process's settings lead to.
        ExperimentInUse: another process makes the experiment's calls.
        ExperimentStopped: a task failed, and that is to stop the experiment.
        BudgetSpent: the budget is spent.
    """
    store = await asyncio.to_thread(spec.open_store)
    lease = store.leases.of_calls(spec.experiment_id)
    async with letting_go(lease):
        await lease.take()  # before the plan is made: another process may just have finished it
        session = await asyncio.to_thread(Session.open, spec, lease)
        await make_calls(session, session.run_batch, session.evaluate_batch)
    return session.progress()


@contextlib.asynccontextmanager
async def _pushing(steps: Steps) -> AsyncIterator[None]:
    """Log results while this is entered; leaving it waits until the backend has them, or is given up on.

    What was finished is pushed also where an experiment stops at an error, but not where it is
    cancelled: then somebody wants it to end.
    """
    work = steps.work
    if work.remote is None:  # everything is where it belongs, and people expect to see it last
        yield
        await steps.log_results()
        return
    pushing = asyncio.create_task(steps.log_results())
    try:
        yield
    except Exception:
        work.calls_ended.set()
        await asyncio.gather(pushing, return_exceptions=True)
        raise
    except BaseException:
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        raise
    work.calls_ended.set()
    await pushing
