"""The experiment as a Prefect flow of four Prefect tasks.

Prefect sees batches, not examples. The flow's parameters are names and numbers: the dataset and
the callables travel in a context variable, because Prefect keeps parameters and shows them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable
from typing import Any

from prefect import flow, get_run_logger

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.engine import Batch
from prefect_experiments.errors import ExperimentStopped
from prefect_experiments.experiment.progress import telling
from prefect_experiments.experiment.steps import Steps, drive
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.interruptions import interruptible
from prefect_experiments.orchestration.artifacts import progress_of
from prefect_experiments.orchestration.running import (
    conclude,
    prefect_task,
    run_in_flow,
    say_notes,
    saying_why,
    work_of_call,
)
from prefect_experiments.orchestration.shared_limits import slots_of

logger = logging.getLogger("prefect_experiments")

_nearly_done: contextvars.ContextVar[Callable[[], None]] = contextvars.ContextVar("prefect_experiments_nearly_done")


def _work() -> RunWork:
    return work_of_call(RunWork, "run_experiment, resume_experiment or evaluate_experiment")


@prefect_task("load-dataset", "load {dataset}", "Pin a dataset version, make the experiment, plan what is missing.")
async def load_dataset(dataset: str) -> None:
    """Pin the dataset and plan."""
    await asyncio.to_thread(_work().load_dataset, _shown_by_traces())


@prefect_task("run-task", "run {examples}", "Run the task on one batch of examples.")
async def run_task(batch: int, examples: str) -> None:
    """Run the task on one batch."""
    session = _work().session
    await session.run_batch(session.batches[batch - 1], _nearly_done.get())


@prefect_task("evaluate", "evaluate {examples}", "Run the evaluators on one batch of outputs.")
async def evaluate(batch: int, examples: str) -> None:
    """Evaluate one batch."""
    session = _work().session
    await session.evaluate_batch(session.batches[batch - 1])


@prefect_task("log-results", "log to {backend}", "Push what the backend does not have.")
async def log_results(backend: str) -> None:
    """Push to the backend."""
    await _work().push_results(get_run_logger().warning)


class _PrefectSteps(Steps):
    """The steps, each as a Prefect task run."""

    def __init__(self, work: RunWork, backend: str) -> None:
        super().__init__(work)
        self._backend = backend

    async def load_dataset(self) -> None:
        await load_dataset(self.work.dataset)

    async def run_task(self, batch: Batch, nearly_done: Callable[[], None]) -> None:
        _nearly_done.set(nearly_done)  # each batch has a context of its own
        await run_task(batch.number, _label(batch))

    async def evaluate(self, batch: Batch) -> None:
        await evaluate(batch.number, _label(batch))

    def calling(self) -> contextlib.AbstractAsyncContextManager[None]:
        return slots_of(self.work.session)

    async def log_results(self) -> None:
        await log_results(self._backend)


def _label(batch: Batch) -> str:
    return f"{batch.first:04d}-{batch.last:04d}"


@flow(
    name="experiment",
    flow_run_name="{experiment} on {dataset}",
    retries=0,  # whatever Prefect's default is: a gate's verdict is not tried again, the rest is resumed
    description="Run an evaluation experiment: load-dataset, run-task, evaluate, log-results.",
    persist_result=False,
    validate_parameters=False,
)
async def experiment_flow(
    dataset: str,
    experiment: str,
    task: str | None,
    evaluators: list[str],
    backend: str,
    concurrency: int,
) -> Any:
    """Run what the calling `run_experiment` has prepared."""
    work = _work()
    say_notes(work)
    return await interruptible(_run_and_conclude(work, backend))


async def _run_and_conclude(work: RunWork, backend: str) -> Any:
    async with progress_of(work):
        try:
            await drive(_PrefectSteps(work, backend))
        except ExperimentStopped as stopped:
            raise _with_advice(stopped, work) from None
        return await conclude(work, lines=work.remarks())


def _shown_by_traces() -> dict[str, str]:
    """What leads from a trace to the flow run."""
    from prefect.runtime import flow_run

    found = {"prefect.flow_run.id": flow_run.id, "prefect.flow_run.url": flow_run.ui_url}
    return {name: str(value) for name, value in found.items() if value}


def _with_advice(stopped: ExperimentStopped, work: RunWork) -> ExperimentStopped:
    experiment_id = work.record.experiment.id
    return stopped.with_advice(
        experiment_id,
        f"Everything finished is kept: see it with `prefect-experiments runs {experiment_id}`, "
        f"go on with `prefect-experiments resume {experiment_id}`.",
    )


async def run_work(work: RunWork) -> RanExperiment:
    """Run a planned experiment as a flow."""
    plan = work.plan

    async def started() -> None:
        async with telling(work):
            await experiment_flow(
                dataset=work.dataset,
                experiment=work.name,
                task=plan.task.name if plan.task else None,
                evaluators=[evaluator.name for evaluator in plan.evaluators],
                backend=work.remote.name if work.remote else "local",
                concurrency=plan.options.concurrency,
            )

    with saying_why():
        await run_in_flow(work, started)
    return work.result


async def run_dry(work: RunWork) -> RanExperiment:
    """Run a planned experiment without Prefect: nothing is written, nothing is called but the user's code."""
    for note in work.notes:
        logger.warning("%s", note)
    with saying_why():
        async with telling(work):
            await interruptible(drive(Steps(work)))
    return work.result
