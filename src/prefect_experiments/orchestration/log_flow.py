"""Results that were made elsewhere as a Prefect flow of two Prefect tasks, and the calls that start it."""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial
from typing import Any

from prefect import flow, get_run_logger
from prefect.context import SyncClientContext

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.experiment.arguments import LogArguments, Place, Placed
from prefect_experiments.experiment.compare import judging
from prefect_experiments.experiment.log import LoggedExperiment, ResultLog
from prefect_experiments.experiment.request import remote_of, store_of
from prefect_experiments.orchestration.artifacts import show_comparison, show_summary
from prefect_experiments.orchestration.events import tell_of
from prefect_experiments.orchestration.flows import (
    final_state,
    in_a_line,
    outliving_prefect,
    prefect_task,
    spared_by_the_collector,
)
from prefect_experiments.signatures import takes
from prefect_experiments.sync import sync_twin

_log: contextvars.ContextVar[ResultLog] = contextvars.ContextVar("prefect_experiments_log")


@prefect_task("load-dataset", "load {dataset}", "Pin the dataset version that the results are on.")
async def load_dataset(dataset: str) -> None:  # noqa: ARG001 - for Prefect's page
    """Pin the dataset."""
    await asyncio.to_thread(_log.get().load_dataset)


@prefect_task("log-results", "log to {backend}", "Write the results to the store, and push what the backend lacks.")
async def log_results(backend: str) -> None:  # noqa: ARG001 - for Prefect's page
    """Write to the store, and push to the backend."""
    log = _log.get()
    await asyncio.to_thread(log.write)
    await log.push_results(get_run_logger().warning)


@flow(
    name="log-experiment",
    flow_run_name="{experiment} on {dataset}",
    retries=0,  # whatever Prefect's default is: a gate's verdict is not tried again, the rest is resumed
    description="Log an experiment that was run elsewhere: load-dataset, log-results.",
    persist_result=False,
    validate_parameters=False,
)
async def log_flow(dataset: str, experiment: str, results: str, backend: str) -> Any:
    """Log what the calling `log_experiment` has prepared."""
    log = _log.get(None)
    if log is None:
        raise InvalidSetting("this flow is started by log_experiment, not on its own")
    if log.judging is not None and log.judging.note:
        get_run_logger().warning("%s", log.judging.note)
    get_run_logger().info("Logging %s as %r.", results, experiment)
    await load_dataset(dataset)
    await log_results(backend)
    ran = log.result
    await asyncio.to_thread(log.judge, ran)
    await show_summary(ran)
    await show_comparison(ran)
    if not ran.report.already_logged:
        tell_of(ran)
    message = "; ".join([in_a_line(ran), *ran.said()])
    if (unpushed := log.unpushed) is not None:
        get_run_logger().warning("%s", unpushed)
        message = f"{message}. {unpushed}"
    get_run_logger().info("%s", message)
    log.ran, log.flow_ended = ran, True
    return final_state(ran.verdict, message)


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
    remote, store = remote_of(arguments.backend, client), store_of(client)
    log = await asyncio.to_thread(ResultLog, arguments, store, remote)
    judge = partial(judging, arguments.baseline, arguments.gate, store, remote, log.dataset)
    log.judging = await asyncio.to_thread(judge)
    ran = await _run(log)
    if arguments.print_summary:
        from prefect_experiments.reports.terminal import print_outcome

        print_outcome(ran, kept_in=log.store.shown_url, lines=ran.said())
    return ran


async def _run(log: ResultLog) -> LoggedExperiment:
    token = _log.set(log)
    try:
        with outliving_prefect(log), SyncClientContext.get_or_create(), spared_by_the_collector():
            await log_flow(
                dataset=log.dataset,
                experiment=log.name,
                results=log.origin,
                backend=log.remote.name if log.remote else "local",
            )
    finally:
        _log.reset(token)
    assert log.ran is not None
    return log.ran


log_experiment = sync_twin(alog_experiment)
