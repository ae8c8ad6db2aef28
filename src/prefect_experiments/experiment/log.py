"""Results that were made elsewhere, on their way into the store and from there to a backend. No Prefect in it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.backends import Remote
from prefect_experiments.backends.linking import begin_remotely
from prefect_experiments.backends.pusher import Push, PushOutcome
from prefect_experiments.errors import AlreadyExists, BackendUnavailable, InvalidInput, InvalidSetting
from prefect_experiments.experiment.arguments import LogRequest, Place
from prefect_experiments.experiment.compare import Judging
from prefect_experiments.experiment.dataset_source import DatasetSource
from prefect_experiments.experiment.naming import check_experiment_name
from prefect_experiments.experiment.push import what_waits
from prefect_experiments.experiment.request import json_object, remote_of, store_of
from prefect_experiments.experiment.session import Pin
from prefect_experiments.options import Selection
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
from prefect_experiments.settings import Settings
from prefect_experiments.store import EvaluatorRecord, ExperimentRecord, Link, Store, TaskRecord
from prefect_experiments.store.sanitize import plain_text
from prefect_experiments.sync import waited

_NO_TASK = TaskRecord("(logged)", None, None)

logger = logging.getLogger("prefect_experiments")


class LoggedExperiment(RanExperiment):
    """An experiment whose results were logged: all that `RanExperiment` has, and what became of the rows.

    Attributes:
        report: which rows were kept, and which were not.
    """

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


class ResultLog:
    """Results that were read and checked and belong to a dataset; nothing is written yet.

    Args:
        request: what to log.
        store: where it is kept.
        remote: the backend that gets the results, if it is not the store.

    Raises:
        InvalidDataset: results that cannot be used, or do not fit the dataset.
        InvalidInput: anything else that cannot be used.
        NotFound: no such dataset.
        BackendUnavailable: the backend does not answer.
    """

    def __init__(self, request: LogRequest, store: Store, remote: Remote | None) -> None:
        self.name = check_experiment_name(request.name, remote)
        self._description = request.description
        self._metadata = json_object("metadata", request.metadata)
        self._allow: frozenset[Misfit] = allowed_misfits(request.allow)
        self._alone = request.dataset is None
        if self._alone:
            _check_alone(request, remote)
        self._results = read_results(
            request.experiment_runs,
            request.task_fields,
            request.evaluator_columns,
            alone=self._alone,
            types=request.types,
        )
        dataset = request.dataset
        if self._alone:
            self._results, dataset = with_examples(self._results)
        if remote is not None:
            remote.check()
        self._source = DatasetSource(dataset, store, Selection.of(request), remote)
        self.dataset = self._source.name
        self._match(self._source.example_ids(store))
        self.store = store
        self.remote = remote
        self.link: Link | None = None
        self.push: PushOutcome | None = None
        self.judging: Judging | None = None
        self.ran: LoggedExperiment | None = None
        self.flow_ended = False
        self._pin: Pin | None = None
        self._record: ExperimentRecord | None = None
        self._is_new = True

    @property
    def origin(self) -> str:
        """What the results are: a path, say."""
        return self._results.origin

    @property
    def record(self) -> ExperimentRecord:
        """The experiment in the store, once `write` has run."""
        assert self._record is not None, "nothing is written yet"
        return self._record

    def _match(self, ids: list[str]) -> Matched:
        return match(self._results, ids, self.dataset, self._allow)

    def load_dataset(self) -> None:
        """Put the dataset into the store where it is not there yet, and keep to that version."""
        self._pin = self._source.pin(self.store)

    def write(self) -> None:
        """Put the experiment with all its results into the store, at once; or find that it is there already."""
        if self._record is not None:  # a second try, and the first one came thus far
            return
        assert self._pin is not None, "the dataset is not loaded"
        pin = self._pin
        chosen = None if pin.positions is None else set(pin.positions)
        outline = self.store.datasets.outline(pin.version)
        places = {example_id: place for place, example_id, _ in outline if chosen is None or place in chosen}
        matched = self._match(list(places))  # again: a dataset may have got a new version since
        now = round(time.time(), 6)  # as it is shown
        named = [(evaluator.name, evaluator.kind) for evaluator in self._results.evaluators]
        evaluators = [EvaluatorRecord(plain_text(name), kind, UNKNOWN_FINGERPRINT) for name, kind in named]
        more = (self._description, self._metadata, named, pin.positions)
        self._record, self._is_new = self.store.ingest.put(
            self.name,
            pin.version,
            [run.dated(now).placed(places[run.example_id]) for run in matched.runs],
            fingerprint=fingerprint_of(matched.runs, *more),
            task=_NO_TASK,
            evaluators=evaluators,
            repetitions=matched.repetitions,
            positions=pin.positions,
            splits=pin.splits,
            description=self._description,
            metadata=self._metadata,
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
        if self.remote is None:
            return
        try:
            begin = partial(begin_remotely, self.store, self.remote, self.record, alone=self._alone)
            self.link = await asyncio.to_thread(begin)
        except (AlreadyExists, InvalidInput):  # a name that the backend does not take
            if self._is_new:  # under another name it would be another experiment: this one would be left over
                await asyncio.to_thread(self.store.experiments.delete, self.record.experiment.id)
                self._record = None
            raise
        except BackendUnavailable as error:
            raise BackendUnavailable(
                f"{error}. The results are kept here as experiment {self.record.experiment.id}; log them again, or "
                f"push them with `prefect-experiments push {self.record.experiment.id} --to {self.remote.name}`",
                retry_after=error.retry_after,
            ) from None
        push = Push(self.store, self.remote, self.link, patience=Settings().push_patience, say=say)
        self.push = await push.run()
        self.link = await asyncio.to_thread(self.store.links.of_experiment, self.link.experiment_id, self.link.target)

    def judge(self, ran: RanExperiment) -> None:
        """Compare with the baseline and let the gate judge it, where there are any."""
        if self.judging is not None:
            self.judging.apply(ran)

    @property
    def result(self) -> LoggedExperiment:
        """The experiment as the caller gets it, once everything is done."""
        record = self.store.experiments.get(self.record.experiment.id)
        waiting = self.push.waiting.total if self.push else 0
        return LoggedExperiment(self.store, record, self._report, link=self.link, waiting=waiting)

    @property
    def unpushed(self) -> str | None:
        """What is to be said where the backend does not have every result."""
        return what_waits(self.push, self.remote, self.record)


def _check_alone(request: LogRequest, remote: Remote | None) -> None:
    """Refuse results without a dataset where there has to be one."""
    if remote is not None and not remote.takes_alone:
        raise InvalidSetting(
            f"an experiment in {remote.name} is on a dataset; pass dataset=, or log the results without a backend"
        )
    given = {"dataset_version": request.dataset_version, "splits": request.splits}
    if wrong := [name for name, value in given.items() if value]:
        raise InvalidSetting(f"{wrong[0]}= is of a dataset; pass dataset= as well, or leave it out")


@waited
async def log_directly(client: Place, request: LogRequest) -> LoggedExperiment:
    """Log results without a flow; see `Experiments.create`."""
    log = await asyncio.to_thread(partial(ResultLog, request, store_of(client), remote_of(None, client)))
    await asyncio.to_thread(log.load_dataset)
    await asyncio.to_thread(log.write)
    await log.push_results(logger.warning)
    logged = log.result
    for note in logged.said() if logged.report.already_logged else logged.report.notes():
        logger.warning("%s on %s: %s.", log.name, log.dataset, note)
    if log.unpushed is not None:
        logger.warning("%s.", log.unpushed)
    return logged
