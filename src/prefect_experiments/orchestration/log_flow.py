"""Results that were made elsewhere as a Prefect flow of two Prefect tasks, and the calls that start it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.context import SyncClientContext

from prefect_experiments.analysis.gate import Gate
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.loops import waited
from prefect_experiments.models import EvaluationResultFieldNames, ExperimentTaskFieldNames
from prefect_experiments.orchestration.artifacts import show_comparison, show_summary
from prefect_experiments.orchestration.comparing import judging
from prefect_experiments.orchestration.events import tell_of
from prefect_experiments.orchestration.flows import (
    final_state,
    in_a_line,
    outliving_prefect,
    prefect_task,
    spared_by_the_collector,
)
from prefect_experiments.orchestration.logged import LoggedExperiment, LogRequest, ResultLog
from prefect_experiments.orchestration.request import remote_of, store_of

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


async def alog_experiment(
    *,
    name: str,
    experiment_runs: Any,
    dataset: Any = None,
    task_fields: ExperimentTaskFieldNames | None = None,
    evaluator_columns: Mapping[str, EvaluationResultFieldNames] | None = None,
    types: Mapping[str, str] | None = None,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    dataset_version: str | None = None,
    splits: str | Iterable[str] | None = None,
    allow: str | Iterable[str] = (),
    backend: str | None = None,
    baseline: Any = None,
    gate: Gate | Mapping[str, Any] | str | Path | None = None,
    print_summary: bool = True,
    client: Any = None,
) -> LoggedExperiment:
    """Log an experiment that was run elsewhere, as a Prefect flow: its outputs and scores are kept, nothing is run.

    Everything is checked before anything is written, and written at once. The same results under
    the same name on the same dataset version are there already: nothing new is made. Other results
    under the same name are another experiment.

    Args:
        name: the experiment's. Names need not be unique, but AX asks for it.
        dataset: as for `run_experiment`: what the results are of. Without one, the rows are examples of
            their own; see `Experiments.create`.
        experiment_runs: a DataFrame or another table that speaks Arrow, a list of mappings of column to
            value, or the path of a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file. Understood are
            ``repetition_number`` (from 1; 1 without), ``error`` (a text where the run failed), ``status``
            (``ok`` or ``error``), ``latency_ms``, ``start_time``, ``end_time`` (ISO 8601; without, the run
            ended now), ``token_count``, ``total_cost`` (US dollars), ``trace_id``,
            ``eval.NAME.score|label|explanation|error``, ``annotation.NAME.score|label|text``, ``metadata``
            (an object), ``metadata.KEY``. All other columns are kept as metadata of the runs.
        task_fields: the columns of the example's id and of the output; default, ``example_id`` and
            ``output``.
        evaluator_columns: by evaluator, the columns of its score, label, explanation and metadata.
        types: by column of the results, what its cells are, as for `run_experiment`. A CSV file has no types:
            outputs that are objects in it need ``types={"output": "json"}``, or they are text.
        description: a sentence for people.
        metadata: of the experiment, a JSON object.
        dataset_version: id or number of a version; default, the newest.
        splits: the results are of the examples of these splits only.
        allow: what is no error: ``"unknown"``, rows that belong to no example are left out;
            ``"doubled"``, of several rows for an example (and repetition) the last is taken;
            ``"missing"``, examples without a row have no run.
        backend: where it is kept besides the store; as for `run_experiment`.
        baseline: what the results are compared with; as for `run_experiment`.
        gate: turns the comparison into a verdict; as for `run_experiment`.
        print_summary: print the scores at the end.
        client: the `Client` whose store and backend to use.

    Returns:
        The experiment with its results; ``report`` says what became of the rows.

    Raises:
        InvalidDataset: results that cannot be used, or do not fit the dataset, with rows and values.
        InvalidInput: anything else that cannot be used.
        NotFound: no such dataset or version.
        BackendUnavailable: the backend does not answer.
    """
    request = LogRequest(
        name=name,
        dataset=dataset,
        experiment_runs=experiment_runs,
        task_fields=task_fields,
        evaluator_columns=evaluator_columns,
        types=types,
        description=description,
        metadata=metadata,
        dataset_version=dataset_version,
        splits=splits,
        allow=allow,
    )
    remote, store = remote_of(backend, client), store_of(client)
    log = await asyncio.to_thread(ResultLog, request, store, remote)
    log.judging = await asyncio.to_thread(partial(judging, baseline, gate, store, remote, log.dataset))
    ran = await _run(log)
    if print_summary:
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


log_experiment = waited(alog_experiment)
log_experiment.__name__ = log_experiment.__qualname__ = "log_experiment"
