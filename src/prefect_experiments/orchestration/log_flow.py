"""Results that were made elsewhere as a Prefect flow of two Prefect tasks, and the calls that start it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from prefect import flow, get_run_logger

from prefect_experiments.experiment.arguments import LogArguments, Place, Placed
from prefect_experiments.experiment.log import LoggedExperiment, LogWork, plan_log
from prefect_experiments.experiment.places import remote_of, store_of
from prefect_experiments.orchestration.artifacts import shown_by_traces
from prefect_experiments.orchestration.clients import Clients
from prefect_experiments.orchestration.running import (
    body,
    conclude,
    conclude_alone,
    in_prefect_task,
    prefect_task,
    run_in_flow,
    say_notes,
    work_of_call,
)
from prefect_experiments.signatures import takes
from prefect_experiments.sync import sync_twin

logger = logging.getLogger("prefect_experiments")


def _work() -> LogWork:
    return work_of_call(LogWork, "log_experiment")


@prefect_task("load-dataset", "load {dataset}", "Pin the dataset version that the results are on.")
async def load_dataset(dataset: str) -> None:  # noqa: ARG001 - for Prefect's page
    """Pin the dataset."""
    await body()


@prefect_task("log-results", "log to {backend}", "Write the results to the store, and push what the backend lacks.")
async def log_results(backend: str) -> None:  # noqa: ARG001 - for Prefect's page
    """Write to the store, and push to the backend."""
    await body()


@flow(
    name="log-experiment",
    flow_run_name="{experiment} on {dataset}",
    retries=0,  # whatever Prefect's default is: a gate's verdict is not tried again, the rest is resumed
    description="Log an experiment that was run elsewhere: load-dataset, log-results.",
    persist_result=False,
    validate_parameters=False,
)
async def log_flow(dataset: str, experiment: str, results: str, backend: str) -> Any:  # noqa: ARG001 - as above
    """Log what the calling `log_experiment` has prepared."""
    _work()
    get_run_logger().info("Logging %s as %r.", results, experiment)
    return await body()


async def _in_flow(work: LogWork, backend: str) -> Any:
    say_notes(work)
    await in_prefect_task(partial(load_dataset, work.dataset), "load-dataset", partial(_load, work))
    say = partial(_write_and_push, work, lambda text: get_run_logger().warning(text))
    await in_prefect_task(partial(log_results, backend), "log-results", say)
    report = work.result.report
    return await conclude(work, lines=work.result.said(), is_news=not report.already_logged)


async def _without(work: LogWork) -> None:
    await _load(work)
    await _write_and_push(work, logger.warning)
    await conclude_alone(work)


async def _load(work: LogWork) -> None:
    await asyncio.to_thread(work.load_dataset, shown_by_traces())


async def _write_and_push(work: LogWork, say: Callable[[str], None]) -> None:
    await asyncio.to_thread(work.write)
    await work.push_results(say)


class LogCall(Placed, LogArguments):
    """`LogArguments` outside a client."""


@takes(LogCall)
async def alog_experiment(call: LogCall) -> LoggedExperiment:
    """Log an experiment that was run elsewhere, as a Prefect flow: its outputs and scores are kept, nothing is run.

    Everything is checked before anything is written, and written at once. The same results under
    the same name on the same dataset version are there already: nothing new is made. Other results
    under the same name are another experiment.

    Returns:
        The experiment with its results; ``report`` says what became of the rows.

    Raises:
        InvalidDataset: results that cannot be used, or do not fit the dataset, with rows and values.
        InvalidInput: anything else that cannot be used.
        NotFound: no such dataset or version.
        BackendUnavailable: the backend does not answer.
    """
    return await log_in_flow(call, call.client)


async def log_in_flow(arguments: LogArguments, client: Place | None) -> LoggedExperiment:
    """`alog_experiment` in a client's store and backend."""
    clients = Clients()
    remote, store = remote_of(arguments.backend, client), store_of(client)
    plan = await asyncio.to_thread(plan_log, arguments, store, remote, arguments)
    work = LogWork(plan)
    backend = remote.name if remote else "local"
    shown = {"dataset": work.dataset, "experiment": work.name, "results": plan.results.origin, "backend": backend}
    await run_in_flow(work, log_flow, shown, partial(_in_flow, work, backend), partial(_without, work), clients)
    if arguments.print_summary:
        from prefect_experiments.reports.terminal import print_outcome

        print_outcome(work.result, kept_in=store.shown_url, lines=work.result.said())
    return work.result


log_experiment = sync_twin(alog_experiment)
