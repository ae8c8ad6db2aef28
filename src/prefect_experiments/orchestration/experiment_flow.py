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
from prefect_experiments.orchestration.batches import evaluate_batch, run_batch
from prefect_experiments.orchestration.clients import Clients
from prefect_experiments.orchestration.killed import end_run_of_killed
from prefect_experiments.orchestration.running import (
    conclude,
    conclude_alone,
    in_prefect_task,
    prefect_task,
    run_in_flow,
    say_notes,
    saying_why,
)
from prefect_experiments.orchestration.shared_limits import slots_of
from prefect_experiments.orchestration.workers.leading import lead

logger = logging.getLogger("prefect_experiments")


@prefect_task("load-dataset", "load {dataset}", "Pin a dataset version, make the experiment, plan what is missing.")
async def load_dataset(dataset: str) -> None:
    """Pin the dataset and plan."""
    from prefect_experiments.orchestration.running import body

    await body()


@prefect_task("log-results", "log to {backend}", "Push what the backend does not have.")
async def log_results(backend: str) -> None:
    """Push to the backend."""
    from prefect_experiments.orchestration.running import body

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
        await run_batch(self.work.session, batch, nearly_done)

    async def evaluate(self, batch: Batch) -> None:
        await evaluate_batch(self.work.session, batch)

    async def make_calls(self) -> None:
        options = self.work.plan.options
        if options.task_runner is None:
            await super().make_calls()
        else:
            await lead(self.work.session, options.task_runner, options.workers, shown_by_traces())

    def calling(self) -> contextlib.AbstractAsyncContextManager[None]:
        return slots_of(self.work.session)

    async def log_results(self) -> None:
        push = partial(self.work.push_results, lambda text: get_run_logger().warning(text))
        await in_prefect_task(partial(log_results, self._backend), "log-results", push)


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
    # One import and one call: task runners send the flow to their workers, with all that it names here.
    from prefect_experiments.orchestration.running import body_of_experiment

    return await body_of_experiment()


async def _in_flow(work: RunWork, backend: str) -> Any:
    say_notes(work)
    async with progress_of(work):
        with _advising(work):
            await drive(_PrefectSteps(work, backend))
        return await conclude(work, lines=work.remarks())


async def _without(work: RunWork) -> None:
    if work.plan.options.task_runner is not None:
        logger.warning("There are no workers without Prefect's server: all calls are made in this process.")
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
