"""Running an experiment for a test: what the options add to the arguments, and what is noted of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from prefect_experiments.display import counted
from prefect_experiments.errors import ExperimentStopped
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.progress import heard_by
from prefect_experiments.pytest_plugin.session import Record, Session, session_of
from prefect_experiments.pytest_plugin.shared import is_worker, make_folder

if TYPE_CHECKING:
    from prefect_experiments.analysis import RanExperiment
    from prefect_experiments.experiment.counts import Progress


@dataclass(frozen=True)
class Prepared:
    """An experiment that is to be run for a test.

    Attributes:
        arguments: all of them.
        record: what is noted of it.
    """

    session: Session
    item: pytest.Item
    arguments: RunArguments
    record: Record


def prepare(item: pytest.Item, given: dict[str, Any]) -> Prepared:
    """The arguments that a test gives, and what the options say where it gives none."""
    session = session_of(item.config)
    options = session.options
    usual: dict[str, Any] = {"print_summary": False}
    for name in ("backend", "baseline", "gate", "repetitions"):
        if (value := getattr(options, name)) is not None:
            usual[name] = value
    if options.first_run:
        usual["first_run"] = True
    arguments = usual | given
    if options.dry_run is not None:
        arguments["dry_run"] = options.dry_run
    for name in ("dataset", "gate", "baseline"):
        if name in arguments:
            arguments[name] = session.near(arguments[name], item)
    if arguments.get("experiment_name") is None:
        arguments["experiment_name"] = session.name_of(item.nodeid, arguments.get("backend"))
    metadata = arguments.get("experiment_metadata") or {}
    arguments["experiment_metadata"] = {"pytest_nodeid": item.nodeid, **metadata}
    checked = RunArguments(**arguments)
    return Prepared(session, item, checked, Record(checked.experiment_name or ""))


@contextlib.contextmanager
def noted(prepared: Prepared) -> Iterator[None]:
    """While the experiment is run: it is on the list at the end, whatever becomes of it."""
    record = prepared.record
    prepared.session.records.append(record)

    def heard(progress: Progress) -> None:
        record.experiment_id = progress.experiment_id

    try:
        with with_prefect(prepared.session), heard_by(heard):
            yield
    except BaseException as error:
        _stopped(record, error)
        raise


def _stopped(record: Record, error: BaseException) -> None:
    record.said = "STOPPED"
    if isinstance(error, ExperimentStopped):
        record.experiment_id = error.experiment_id or record.experiment_id
    if record.experiment_id:
        record.note = f"what has finished is kept: `prefect-experiments resume {record.experiment_id}` goes on"
    else:
        record.note = f"{type(error).__name__}: nothing was run"


@contextlib.contextmanager
def with_prefect(session: Session) -> Iterator[None]:
    """Within this, Prefect is quiet, and is one server for all processes of the run."""
    from prefect_experiments.orchestration.commentary import quiet_prefect
    from prefect_experiments.orchestration.shared_server import sharing_server

    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_prefect())
        if is_worker(session.config):
            owner = session.config.workerinput["experiments"]["owner"]  # type: ignore[attr-defined]
            stack.enter_context(sharing_server(make_folder(session.config), owner))
        yield


def conclude(prepared: Prepared, ran: RanExperiment) -> None:
    """Note what has become of an experiment, and write its report."""
    record, verdict = prepared.record, ran.verdict
    record.experiment_id, record.where = ran.experiment_id, ran.url or ""
    record.dataset = ran.experiment.dataset_name
    record.said = verdict.status.upper() if verdict is not None else "RAN"
    if prepared.arguments.dry_run is not False:
        record.said, record.experiment_id = "DRY RUN", ""
        return
    record.note = failed_calls(ran)
    write_report_of(prepared.session, ran, record)


def failed_calls(ran: RanExperiment) -> str:
    """How many calls have failed, whatever a gate makes of it; empty where none has."""
    failed = [("task", ran.summary.n_errors), ("evaluator", sum(1 for one in ran.evaluation_runs if one.error))]
    return ", ".join(counted(n, f"{what} error") for what, n in failed if n)


def write_report_of(session: Session, ran: RanExperiment, record: Record) -> None:
    """Write the HTML report of an experiment, where there is to be one."""
    if (path := session.report_path(record.name)) is None:
        return
    from prefect_experiments.reports.files import write_report

    write_report(ran, path)
    record.report = os.path.relpath(path, session.config.invocation_params.dir)
