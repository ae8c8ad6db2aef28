"""The Prefect tasks that handle a batch, wherever its calls are made.

Their functions, like the flow's, are one import and one call: task runners pickle what they send to workers with all
that it names, and a context variable cannot be pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prefect_experiments.engine import Batch
from prefect_experiments.experiment.session import Session
from prefect_experiments.orchestration.running import in_prefect_task, prefect_task


@prefect_task("run-task", "run {examples}", "Run the task on one batch of examples.")
async def run_task(batch: int, examples: str) -> None:
    """Run the task on one batch."""
    from prefect_experiments.orchestration.running import body

    await body()


@prefect_task("evaluate", "evaluate {examples}", "Run the evaluators on one batch of outputs.")
async def evaluate(batch: int, examples: str) -> None:
    """Evaluate one batch."""
    from prefect_experiments.orchestration.running import body

    await body()


async def run_batch(session: Session, batch: Batch, nearly_done: Callable[[], None]) -> None:
    """Run the task on one batch, as a Prefect task run."""
    run = partial(session.run_batch, batch, nearly_done)
    await in_prefect_task(partial(run_task, batch.number, _label(batch)), "run-task", run)


async def evaluate_batch(session: Session, batch: Batch) -> None:
    """Evaluate one batch, as a Prefect task run."""
    run = partial(session.evaluate_batch, batch)
    await in_prefect_task(partial(evaluate, batch.number, _label(batch)), "evaluate", run)


def _label(batch: Batch) -> str:
    return f"{batch.first:04d}-{batch.last:04d}"
