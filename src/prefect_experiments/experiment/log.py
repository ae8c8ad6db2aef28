"""Results that were made elsewhere, on their way into the store and from there to a backend. No Prefect in it."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.backends import Remote
from prefect_experiments.errors import BackendUnavailable, InvalidSetting
from prefect_experiments.experiment.arguments import Judged, LogRequest, Place
from prefect_experiments.experiment.compare import judging
from prefect_experiments.experiment.dataset_source import DatasetSource, Pin
from prefect_experiments.experiment.gate_checks import check_examples, check_required_metrics
from prefect_experiments.experiment.naming import check_experiment_name
from prefect_experiments.experiment.places import remote_of, store_of
from prefect_experiments.experiment.request import json_object
from prefect_experiments.experiment.work import Plan, Work
from prefect_experiments.options import Selection
from prefect_experiments.origin import marked, of_flow_run
from prefect_experiments.records import UNKNOWN_FINGERPRINT
from prefect_experiments.results import (
    LogReport,
    Matched,
    Misfit,
    allowed_misfits,
    fingerprint_of,
    match,
    read_results,
    with_examples,
)
from prefect_experiments.results.table import Results
from prefect_experiments.store import EvaluatorRecord, ExperimentRecord, Link, Store, TaskRecord
from prefect_experiments.sync import waited
from prefect_experiments.texts import plain_text

_NOTHING = "Nothing was logged"
_NO_TASK = TaskRecord("(logged)", None, None)

logger = logging.getLogger("prefect_experiments")


class LoggedExperiment(RanExperiment):
    """An experiment whose results were logged: all that `RanExperiment` has, and what became of the rows.

    Attributes:
        report: which rows were kept, and which were not.
    """

    in_json: ClassVar[Mapping[str, Any]] = {**RanExperiment.in_json, "report": LogReport}

    def __init__(
        self, store: Store, record: ExperimentRecord, report: LogReport, *, link: Link | None, waiting: int
    ) -> None:
        super().__init__(store, record, link=link, waiting=waiting)
        self.report = report
        self.logged = report.runs

    @property
    def id(self) -> str:
        """The experiment's id."""
        return self.experiment.id

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment.name

    @property
    def description(self) -> str | None:
        """A sentence for people."""
        return self.experiment.description

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The experiment's metadata."""
        return self.experiment.metadata

    @property
    def created_at(self) -> datetime | None:
        """When it was made."""
        return self.experiment.created_at

    def said(self) -> list[str]:
        """What whoever logs should know of the rows, in lines."""
        if self.report.already_logged:
            return ["these very results were logged under this name before: nothing new was written"]
        kept = self.report.metadata
        return [*self.report.notes(), *([f"kept as metadata of the runs: {', '.join(kept)}"] if kept else [])]

    def to_dict(self) -> dict[str, Any]:
        """As `RanExperiment.to_dict`, with the report under ``log``."""
        return {**super().to_dict(), "log": self.report.to_dict()}


@dataclass(frozen=True, slots=True)
class LogPlan(Plan):
    """Results to log, read and checked.

    Attributes:
        source: the dataset that they are of.
        results: what was read.
        allow: what of them need not fit the dataset.
        alone: whether they are of no dataset but their own.
    """

    source: DatasetSource = field(kw_only=True)
    results: Results = field(kw_only=True)
    allow: frozenset[Misfit] = frozenset()
    alone: bool = False
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def match(self, ids: Sequence[str]) -> Matched:
        """The results beside the examples of these ids.

        Raises:
            InvalidDataset: they do not fit.
        """
        return match(self.results, ids, self.dataset, self.allow)


def plan_log(request: LogRequest, store: Store, remote: Remote | None, judged: Judged | None = None) -> LogPlan:
    """The plan of logging results that belong to a dataset. Nothing is written yet.

    Args:
        request: what to log.
        store: where it is kept.
        remote: the backend that gets the results, if it is not the store.
        judged: what becomes of the result.

    Raises:
        InvalidDataset: results that cannot be used, or do not fit the dataset.
        InvalidSetting: a gate that names examples, fields or metrics that there are not.
        InvalidInput: anything else that cannot be used.
        NotFound: no such dataset.
        BackendUnavailable: the backend does not answer.
    """
    name = check_experiment_name(request.name, remote)
    metadata = json_object("metadata", request.metadata)
    allow: frozenset[Misfit] = allowed_misfits(request.allow)
    dataset, alone = request.dataset, request.dataset is None
    if alone:
        _check_alone(request, remote)
    results = read_results(
        request.experiment_runs, request.task_fields, request.evaluator_columns, alone=alone, types=request.types
    )
    if alone:
        results, dataset = with_examples(results)
    if remote is not None:
        remote.check()
    source = DatasetSource(dataset, store, Selection.of(request), remote)
    match(results, source.example_ids(store), source.name, allow)
    found = None
    if judged is not None:
        pooled, first = judged.pooled, judged.first_run
        found = judging(judged.baseline, judged.gate, store, remote, source.name, pooled=pooled, first_run=first)
        check_examples(judged.gate, source.to_use(store), _NOTHING)
        check_required_metrics(judged.gate, [evaluator.name for evaluator in results.evaluators], _NOTHING)
    return LogPlan(
        name,
        source.name,
        store,
        remote,
        found,
        source=source,
        results=results,
        allow=allow,
        alone=alone,
        description=request.description,
        metadata=metadata,
    )


class LogWork(Work):
    """Results being logged.

    Args:
        plan: what is to be done.
    """

    def __init__(self, plan: LogPlan) -> None:
        super().__init__(plan)
        self.plan = plan
        self._pin: Pin | None = None

    def load_dataset(self, trace_attributes: Mapping[str, str] | None = None) -> None:
        """Put the dataset into the store where it is not there yet, and keep to that version.

        Args:
            trace_attributes: what would lead from a trace to the flow run.
        """
        self._shown = of_flow_run(trace_attributes)
        self._pin = self.plan.source.pin(self.store)

    def write(self) -> None:
        """Put the experiment with all its results into the store, at once; or find that it is there already."""
        if self._record is not None:  # a second try, and the first one came thus far
            return
        assert self._pin is not None, "the dataset is not loaded"
        plan, pin = self.plan, self._pin
        chosen = None if pin.positions is None else set(pin.positions)
        outline = self.store.datasets.outline(pin.version)
        places = {example_id: place for place, example_id, _ in outline if chosen is None or place in chosen}
        matched = plan.match(list(places))  # again: a dataset may have got a new version since
        now = round(time.time(), 6)  # as it is shown
        named = [(evaluator.name, evaluator.kind) for evaluator in plan.results.evaluators]
        evaluators = [EvaluatorRecord(plain_text(name), kind, UNKNOWN_FINGERPRINT) for name, kind in named]
        more = (plan.description, plan.metadata, named, pin.positions)
        self._record, self._is_new = self.store.ingest.put(
            plan.name,
            pin.version,
            [run.dated(now).placed(places[run.example_id]) for run in matched.runs],
            fingerprint=fingerprint_of(matched.runs, *more),
            task=_NO_TASK,
            evaluators=evaluators,
            repetitions=matched.repetitions,
            positions=pin.positions,
            splits=pin.splits,
            description=plan.description,
            metadata=marked(plan.metadata, **self._shown),
            now=now,
        )
        self._report = replace(matched.report, already_logged=not self._is_new)

    async def push_results(self, say: Callable[[str], None]) -> None:
        """Begin the experiment in the backend and push what it lacks, if there is a backend.

        Raises:
            AlreadyExists: names must be unique there, and this one is in use; nothing is kept.
            InvalidInput: the backend does not take such a name; nothing is kept.
            BackendUnavailable: it could not be begun; the results are in the store.
        """
        try:
            await asyncio.to_thread(self._begin_remotely, alone=self.plan.alone)
        except BackendUnavailable as error:
            assert self.remote is not None
            raise BackendUnavailable(
                f"{error}. The results are kept here as experiment {self.record.experiment.id}; log them again, or "
                f"push them with `prefect-experiments push {self.record.experiment.id} --to {self.remote.name}`",
                retry_after=error.retry_after,
            ) from None
        await self._push(say)

    @functools.cached_property
    def result(self) -> LoggedExperiment:
        """The experiment as the caller gets it, once everything is done."""
        record = self.store.experiments.get(self.record.experiment.id)
        return LoggedExperiment(self.store, record, self._report, link=self.link, waiting=self.waiting)


def _check_alone(request: LogRequest, remote: Remote | None) -> None:
    """Refuse results without a dataset where there has to be one."""
    if remote is not None and not remote.capabilities.experiments_without_dataset:
        raise InvalidSetting(
            f"an experiment in {remote.name} is on a dataset; pass dataset=, or log the results without a backend"
        )
    given = {"dataset_version": request.dataset_version, "splits": request.splits}
    if wrong := [name for name, value in given.items() if value]:
        raise InvalidSetting(f"{wrong[0]}= is of a dataset; pass dataset= as well, or leave it out")


@waited
async def log_directly(client: Place, request: LogRequest) -> LoggedExperiment:
    """Log results without a flow; see `Experiments.create`."""
    plan = await asyncio.to_thread(plan_log, request, store_of(client), remote_of(None, client))
    work = LogWork(plan)
    await asyncio.to_thread(work.load_dataset)
    await asyncio.to_thread(work.write)
    await work.push_results(logger.warning)
    await asyncio.to_thread(plan.store.database.settle)
    logged = work.result
    for note in logged.said() if logged.report.already_logged else logged.report.notes():
        logger.warning("%s on %s: %s.", work.name, work.dataset, note)
    if work.unpushed is not None:
        logger.warning("%s.", work.unpushed)
    return logged
