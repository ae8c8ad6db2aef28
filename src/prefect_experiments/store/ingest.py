"""Results that were made elsewhere, on their way into the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.models import DatasetVersion
from prefect_experiments.store.database import Database
from prefect_experiments.store.experiments import ExperimentRecord, ExperimentStore
from prefect_experiments.store.links import Link
from prefect_experiments.store.outbox import annotator_in
from prefect_experiments.store.sanitize import plain_text
from prefect_experiments.store.tables import (
    UNKNOWN_FINGERPRINT,
    evaluations,
    experiment_runs,
    pushed_evaluations,
    pushed_runs,
    run_annotations,
)

# Backends keep times to the microsecond or the millisecond.
_SAME_MOMENT_S = 0.0011


@dataclass(frozen=True, slots=True)
class ImportedEvaluation:
    """An evaluation, or with the kind ``HUMAN`` an annotation, that was made elsewhere.

    Attributes:
        evaluator: who has given it, where that is known; else it is called as the evaluation is.
        fingerprint: of the evaluator as it was then, where that is known.
    """

    name: str
    annotator_kind: str
    score: float | None
    label: str | None
    explanation: str | None
    metadata: str | None
    error: str | None
    start_time: float
    end_time: float
    trace_id: str | None = None
    evaluator: str | None = None
    fingerprint: str = UNKNOWN_FINGERPRINT

    @property
    def is_a_persons(self) -> bool:
        """Whether it is an annotation. An evaluator may call itself ``HUMAN``, too, and is known by its state."""
        return self.annotator_kind == "HUMAN" and self.fingerprint == UNKNOWN_FINGERPRINT


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """An experiment run that was made elsewhere. JSON as text, times in seconds since the epoch.

    Attributes:
        remote_id: what the backend that it is from calls it.
        latency_ms: where known.
        metadata: JSON object of what else is known of it.
    """

    position: int
    repetition_number: int
    example_id: str
    remote_id: str | None
    output: str | None
    error: str | None
    start_time: float
    end_time: float
    latency_ms: float | None = None
    token_count: int | None = None
    total_cost: float | None = None
    trace_id: str | None = None
    evaluations: tuple[ImportedEvaluation, ...] = ()
    metadata: str | None = None


class IngestStore:
    """Takes in results that were made elsewhere: what backends have, and whole experiments."""

    def __init__(self, database: Database, experiments: ExperimentStore) -> None:
        self._database = database
        self._experiments = experiments

    def take(self, link: Link, runs: Sequence[ImportedRun]) -> list[ImportedEvaluation]:
        """Put what is not here yet into the store, and note that the backend has it.

        A run that is ok here stays as it is; so does an evaluation, unless the backend has a later one.

        Returns:
            The evaluations that were not here, or not in that state.
        """
        with self._database.write() as connection:
            here = _errors(connection, link.experiment_id)
            taken = [run for run in runs if here.get((run.position, run.repetition_number), "missing") is not None]
            # Failed on both sides: nothing new, and what was noted of it stays true.
            taken = [r for r in taken if not (r.error is not None and (r.position, r.repetition_number) in here)]
            delete_evaluations_of_failed(
                connection, link.experiment_id, sorted({(r.position, r.repetition_number) for r in taken} & here.keys())
            )
            self._put(connection, experiment_runs, [run_values(link.experiment_id, run) for run in taken])
            self._put(connection, pushed_runs, [_pushed_values(link, run) for run in taken])
            return self._take_evaluations(connection, link, runs)

    def _take_evaluations(
        self, connection: Connection, link: Link, runs: Sequence[ImportedRun]
    ) -> list[ImportedEvaluation]:
        """People's annotations on any run; evaluators' on those that are here as they are there: ok, or failed.

        Other clients evaluate failed runs, too. That is kept and shown, and counts nowhere.
        """
        taken: list[ImportedEvaluation] = []
        here = _errors(connection, link.experiment_id)
        seen = _pushed_times(connection, link)
        for table, is_human in ((evaluations, False), (run_annotations, True)):
            known = _times(connection, table, link.experiment_id)
            # An evaluator's that was here and is not was on a failed run that has been made again.
            times = known if is_human else seen | known
            new = [
                (run, evaluation)
                for run in runs
                if is_human or (here.get((run.position, run.repetition_number)) is None) == (run.error is None)
                for evaluation in run.evaluations
                if evaluation.is_a_persons == is_human
                and evaluation.end_time
                > times.get((run.position, run.repetition_number, plain_text(evaluation.name)), 0.0) + _SAME_MOMENT_S
            ]
            values = annotation_values if is_human else evaluation_values
            self._put(connection, table, [values(link.experiment_id, run, evaluation) for run, evaluation in new])
            # Where a person's annotation has taken the place of an evaluator's there, that is not pushed over it.
            replaced = _times(connection, evaluations, link.experiment_id) if is_human else {}
            keys = [(run.position, run.repetition_number, plain_text(evaluation.name)) for run, evaluation in new]
            marks = [
                (link.id, *key, replaced.get(key, evaluation.end_time), None)
                for key, (_, evaluation) in zip(keys, new, strict=True)
            ]
            self._put(connection, pushed_evaluations, marks)
            taken += [evaluation for _, evaluation in new if not is_human]
        return taken

    def put(
        self, name: str, version: DatasetVersion, runs: Sequence[ImportedRun], *, fingerprint: str, **fields: Any
    ) -> tuple[ExperimentRecord, bool]:
        """An experiment with these results.

        Args:
            name: the experiment's.
            version: what it is on.
            runs: with their evaluations; one for each example and repetition.
            fingerprint: of all that is put; an experiment of that name on that version which has it is
                taken to be this one.
            fields: see `ExperimentStore.create`.

        Returns:
            The experiment, and whether it is new.

        Raises:
            NotFound: the dataset version is no longer there.
            InvalidInput: something that cannot be kept; then nothing is.
        """
        # Alone, so that of two processes which log the same file one finds what the other has made.
        with self._database.write(alone=True) as connection:
            if (found := self._experiments.find_logged(connection, name, version, fingerprint)) is not None:
                return found, False
            made = self._experiments.create(name, version, logged=fingerprint, connection=connection, **fields)
            self._fill(connection, made.experiment.id, runs)
            return made, True

    def _fill(self, connection: Connection, experiment_id: str, runs: Sequence[ImportedRun]) -> None:
        given = [(run, evaluation) for run in runs for evaluation in run.evaluations]
        people = [(run, evaluation) for run, evaluation in given if evaluation.annotator_kind == "HUMAN"]
        others = [(run, evaluation) for run, evaluation in given if evaluation.annotator_kind != "HUMAN"]
        self._put(connection, experiment_runs, [run_values(experiment_id, run) for run in runs])
        self._put(connection, evaluations, [evaluation_values(experiment_id, *pair) for pair in others])
        self._put(connection, run_annotations, [annotation_values(experiment_id, *pair) for pair in people])

    def _put(self, connection: Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self._database.write_many(connection, self._database.upsert(table), rows)


def _errors(connection: Connection, experiment_id: str) -> dict[tuple[int, int], str | None]:
    c = experiment_runs.c
    query = sa.select(c.position, c.repetition_number, c.error).where(c.experiment_id == experiment_id)
    return {(position, repetition): error for position, repetition, error in connection.execute(query).all()}


def _pushed_times(connection: Connection, link: Link) -> dict[tuple[int, int, str], float]:
    """The end times of the evaluations that the backend is known to have."""
    c = pushed_evaluations.c
    query = sa.select(c.position, c.repetition_number, c.name, c.stamp)
    query = query.where(c.link_id == link.id, c.refused.is_(None))
    return {(position, repetition, name): time for position, repetition, name, time in connection.execute(query).all()}


def evaluated_failures(connection: Connection, experiment_id: str) -> set[tuple[int, int]]:
    """The failed runs that evaluators have said something of, which counts nowhere."""
    r = experiment_runs.c
    query = sa.select(r.position, r.repetition_number).where(
        r.experiment_id == experiment_id, r.error.is_not(None), sa.exists(sa.select(1).where(*_of_the_run()))
    )
    return {(position, repetition) for position, repetition in connection.execute(query).all()}


def delete_evaluations_of_failed(connection: Connection, experiment_id: str, runs: Sequence[tuple[int, int]]) -> None:
    """Delete what evaluators have said of those of these runs that have failed."""
    if not runs:
        return
    c = evaluations.c
    query = evaluations.delete().where(
        c.experiment_id == experiment_id,
        c.position == sa.bindparam("p"),
        c.repetition_number == sa.bindparam("r"),
        sa.exists(sa.select(1).where(*_of_the_run(), experiment_runs.c.error.is_not(None))),
    )
    connection.execute(query, [{"p": position, "r": repetition} for position, repetition in runs])


def _of_the_run() -> list[sa.ColumnElement[bool]]:
    """What joins evaluations and their run."""
    names = ("experiment_id", "position", "repetition_number")
    return [evaluations.c[name] == experiment_runs.c[name] for name in names]


def _times(connection: Connection, table: sa.Table, experiment_id: str) -> dict[tuple[int, int, str], float]:
    c = table.c
    stamp = c.updated_at if table is run_annotations else c.end_time
    query = sa.select(c.position, c.repetition_number, c.name, stamp).where(c.experiment_id == experiment_id)
    return {(position, repetition, name): time for position, repetition, name, time in connection.execute(query).all()}


def run_values(experiment_id: str, run: ImportedRun) -> tuple[Any, ...]:
    """The columns of `experiment_runs`, in order. How often the task was called is not known: once."""
    key = (experiment_id, run.position, run.repetition_number, run.example_id)
    error = run.error and plain_text(run.error)
    figures = (run.token_count, run.total_cost, run.trace_id, run.metadata, run.latency_ms)
    return (*key, run.output, error, run.start_time, run.end_time, 1, *figures)


def _pushed_values(link: Link, run: ImportedRun) -> tuple[Any, ...]:
    """The columns of `pushed_runs`, in order."""
    return (link.id, run.position, run.repetition_number, run.remote_id, run.end_time, None)


def evaluation_values(experiment_id: str, run: ImportedRun, evaluation: ImportedEvaluation) -> tuple[Any, ...]:
    """The columns of `evaluations`, in order."""
    name = plain_text(evaluation.name)
    evaluator = plain_text(evaluation.evaluator or evaluation.name)
    key = (experiment_id, run.position, run.repetition_number, name, evaluator, evaluation.annotator_kind)
    texts = [text and plain_text(text) for text in (evaluation.label, evaluation.explanation)]
    error = evaluation.error and plain_text(evaluation.error)
    times = (evaluation.start_time, evaluation.end_time, evaluation.trace_id)
    return (*key, evaluation.fingerprint, evaluation.score, *texts, evaluation.metadata, error, *times)


def annotation_values(experiment_id: str, run: ImportedRun, evaluation: ImportedEvaluation) -> tuple[Any, ...]:
    """The columns of `annotations`, in order."""
    key = (experiment_id, run.position, run.repetition_number, plain_text(evaluation.name))
    texts = [text and plain_text(text) for text in (evaluation.label, evaluation.explanation)]
    return (*key, evaluation.score, *texts, annotator_in(evaluation.metadata), evaluation.end_time)
