"""The experiment as a Prefect flow of four Prefect tasks.

Prefect sees batches, not examples. The flow's parameters are names and numbers: the dataset and
the callables travel in a context variable, because Prefect keeps parameters and shows them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from prefect import flow, get_run_logger

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.engine import Batch
from prefect_experiments.errors import BudgetSpent, ExperimentStopped
from prefect_experiments.experiment.progress import telling
from prefect_experiments.experiment.steps import Steps, drive
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.interruptions import ended_flow, in_thread, interruptible
from prefect_experiments.orchestration.artifacts import progress_of, shown_by_traces
from prefect_experiments.orchestration.clients import Clients
from prefect_experiments.orchestration.killed import end_run_of_killed
from prefect_experiments.orchestration.running import (
    body,
    conclude,
    conclude_alone,
    in_prefect_task,
    prefect_task,
    run_in_flow,
    say_notes,
    saying_why,
    work_of_call,
)
from prefect_experiments.orchestration.shared_limits import slots_of

logger = logging.getLogger("prefect_experiments")


def _work() -> RunWork:
    return work_of_call(RunWork, "run_experiment, resume_experiment or evaluate_experiment")


@prefect_task("load-dataset", "load {dataset}", "Pin a dataset version, make the experiment, plan what is missing.")
async def load_dataset(dataset: str) -> None:
    """Pin the dataset and plan."""
    await body()


@prefect_task("run-task", "run {examples}", "Run the task on one batch of examples.")
async def run_task(batch: int, examples: str) -> None:
    """Run the task on one batch."""
    await body()


@prefect_task("evaluate", "evaluate {examples}", "Run the evaluators on one batch of outputs.")
async def evaluate(batch: int, examples: str) -> None:
    """Evaluate one batch."""
    await body()


@prefect_task("log-results", "log to {backend}", "Push what the backend does not have.")
async def log_results(backend: str) -> None:
    """Push to the backend."""
    await body()


class _PrefectSteps(Steps):
    """The steps, each as a Prefect task run."""

    def __init__(self, work: RunWork, backend: str) -> None:
        super().__init__(work)
        self._backend = backend

    async def load_dataset(self) -> None:
        load = partial(in_thread, self.work.load_dataset, shown_by_traces())
        await in_prefect_task(partial(load_dataset, self.work.dataset), "load-dataset", load)
        await end_run_of_killed(self.work)

    async def run_task(self, batch: Batch, nearly_done: Callable[[], None]) -> None:
        run = partial(super().run_task, batch, nearly_done)
        await in_prefect_task(partial(run_task, batch.number, _label(batch)), "run-task", run)

    async def evaluate(self, batch: Batch) -> None:
        run = partial(super().evaluate, batch)
        await in_prefect_task(partial(evaluate, batch.number, _label(batch)), "evaluate", run)

    def calling(self) -> contextlib.AbstractAsyncContextManager[None]:
        return slots_of(self.work.session)

    async def log_results(self) -> None:
        push = partial(self.work.push_results, lambda text: get_run_logger().warning(text))
        await in_prefect_task(partial(log_results, self._backend), "log-results", push)


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
    _work()
    return await body()


async def _in_flow(work: RunWork, backend: str) -> Any:
    say_notes(work)
    async with progress_of(work):
        with _advising(work):
            await drive(_PrefectSteps(work, backend))
        return await conclude(work, lines=work.remarks())


async def _without(work: RunWork) -> None:
    with _advising(work):
        await drive(Steps(work))
    await conclude_alone(work)


@contextlib.contextmanager
def _advising(work: RunWork) -> Iterator[None]:
    """An error at which the experiment stops says how to go on."""
    try:
        yield
    except ExperimentStopped as stopped:
        experiment_id = work.record.experiment.id
        more = " --budget DOLLARS" if isinstance(stopped, BudgetSpent) else ""
        raise stopped.with_advice(
            experiment_id,
            f"Everything finished is kept: see it with `prefect-experiments runs {experiment_id}`, "
            f"go on with `prefect-experiments resume {experiment_id}{more}`.",
        ) from None


async def run_work(work: RunWork, clients: Clients) -> RanExperiment:
    """Run a planned experiment as a flow."""
    plan = work.plan
    backend = work.remote.name if work.remote else "local"
    shown = {
        "dataset": work.dataset,
        "experiment": work.name,
        "task": plan.task.name if plan.task else None,
        "evaluators": [evaluator.name for evaluator in plan.evaluators],
        "backend": backend,
        "concurrency": plan.options.concurrency,
    }
    with saying_why():
        async with telling(work):
            do, without = partial(_in_flow, work, backend), partial(_without, work)
            await run_in_flow(work, experiment_flow, shown, do, without, clients)
    return work.result


async def run_dry(work: RunWork) -> RanExperiment:
    """Run a planned experiment without Prefect: nothing is written, nothing is called but the user's code."""
    for note in work.notes:
        logger.warning("%s", note)
    with saying_why():
        async with telling(work):
            await interruptible(drive(Steps(work)), ended_flow())
    return work.result
