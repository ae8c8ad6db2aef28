"""Results that were made elsewhere, on their way into the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.models import DatasetVersion
from prefect_experiments.records import EvaluatedRun, EvaluationRecord, Key
from prefect_experiments.store.database import Database
from prefect_experiments.store.experiment_records import ExperimentRecord
from prefect_experiments.store.experiments import ExperimentStore
from prefect_experiments.store.links import Link
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.rows import annotation_values, evaluation_values, run_values
from prefect_experiments.store.tables import (
    evaluations,
    experiment_runs,
    pushed_evaluations,
    pushed_runs,
    run_annotations,
)
from prefect_experiments.texts import plain_text

# Backends keep times to the microsecond or the millisecond.
_SAME_MOMENT_S = 0.0011

_Named = tuple[int, int, str]
"""An evaluation: its run's position and repetition, and its name."""


@all_patient
class IngestStore:
    """Takes in results that were made elsewhere: what backends have, and whole experiments."""

    def __init__(self, database: Database, experiments: ExperimentStore) -> None:
        self._database = database
        self._experiments = experiments

    def take(self, link: Link, runs: Sequence[EvaluatedRun]) -> list[EvaluationRecord]:
        """Put what is not here yet into the store, and note that the backend has it.

        A run that is ok here stays as it is; so does an evaluation, unless the backend has a later one.

        Returns:
            The evaluations that were not here, or not in that state.
        """
        with self._database.write() as connection:
            here = _errors(connection, link.experiment_id)
            missing = [(each.run, each.remote_id) for each in runs if here.get(each.run.key, "missing") is not None]
            # Failed on both sides: nothing new, and what was noted of it stays true.
            taken = [(run, name) for run, name in missing if run.error is None or run.key not in here]
            again = sorted({run.key for run, _ in taken} & here.keys())
            delete_evaluations_of_failed(connection, link.experiment_id, again)
            self._put(connection, experiment_runs, [run_values(link.experiment_id, run) for run, _ in taken])
            self._put(connection, pushed_runs, [(link.id, *run.key, name, run.end_time, None) for run, name in taken])
            return self._take_evaluations(connection, link, runs)

    def _take_evaluations(
        self, connection: Connection, link: Link, runs: Sequence[EvaluatedRun]
    ) -> list[EvaluationRecord]:
        """People's annotations on any run; evaluators' on those that are here as they are there: ok, or failed.

        Other clients evaluate failed runs, too. That is kept and shown, and counts nowhere.
        """
        here = _errors(connection, link.experiment_id)
        same = [there for there in runs if (here.get(there.run.key) is None) == (there.run.error is None)]
        given = [evaluation for there in same for evaluation in there.evaluations if not evaluation.is_annotation]
        people = [evaluation for there in runs for evaluation in there.evaluations if evaluation.is_annotation]
        # An evaluator's that was here and is not was on a failed run that has been made again.
        known = _pushed_times(connection, link) | _times(connection, evaluations, link.experiment_id)
        new = [evaluation for evaluation in given if _is_later(evaluation, known)]
        self._put(connection, evaluations, [evaluation_values(link.experiment_id, one) for one in new])
        self._note_pushed(connection, link, new, {})
        known = _times(connection, run_annotations, link.experiment_id)
        notes = [annotation for annotation in people if _is_later(annotation, known)]
        self._put(connection, run_annotations, [annotation_values(link.experiment_id, one) for one in notes])
        # Where a person's annotation has taken the place of an evaluator's there, that is not pushed over it.
        self._note_pushed(connection, link, notes, _times(connection, evaluations, link.experiment_id))
        return new

    def _note_pushed(
        self, connection: Connection, link: Link, given: Sequence[EvaluationRecord], stamps: Mapping[_Named, float]
    ) -> None:
        """Note that the backend has these, as they were at a stamp, by default when they were made."""
        named = [(_named(one), one.end_time) for one in given]
        rows = [(link.id, *name, stamps.get(name, end_time), None) for name, end_time in named]
        self._put(connection, pushed_evaluations, rows)

    def put(
        self, name: str, version: DatasetVersion, runs: Sequence[EvaluatedRun], *, fingerprint: str, **fields: Any
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

    def _fill(self, connection: Connection, experiment_id: str, runs: Sequence[EvaluatedRun]) -> None:
        given = [evaluation for run in runs for evaluation in run.evaluations]
        people = [evaluation for evaluation in given if evaluation.is_annotation]
        others = [evaluation for evaluation in given if not evaluation.is_annotation]
        self._put(connection, experiment_runs, [run_values(experiment_id, each.run) for each in runs])
        self._put(connection, evaluations, [evaluation_values(experiment_id, one) for one in others])
        self._put(connection, run_annotations, [annotation_values(experiment_id, one) for one in people])

    def _put(self, connection: Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self._database.write_many(connection, self._database.upsert(table), rows)


def _named(evaluation: EvaluationRecord) -> _Named:
    return *evaluation.key, plain_text(evaluation.name)


def _is_later(evaluation: EvaluationRecord, known: Mapping[_Named, float]) -> bool:
    """Whether it is not known yet, or was made after what is known."""
    return evaluation.end_time > known.get(_named(evaluation), 0.0) + _SAME_MOMENT_S


def _errors(connection: Connection, experiment_id: str) -> dict[Key, str | None]:
    c = experiment_runs.c
    query = sa.select(c.position, c.repetition_number, c.error).where(c.experiment_id == experiment_id)
    return {(position, repetition): error for position, repetition, error in connection.execute(query).all()}


def _pushed_times(connection: Connection, link: Link) -> dict[_Named, float]:
    """The end times of the evaluations that the backend is known to have."""
    c = pushed_evaluations.c
    query = sa.select(c.position, c.repetition_number, c.name, c.stamp)
    query = query.where(c.link_id == link.id, c.refused.is_(None))
    return {(position, repetition, name): time for position, repetition, name, time in connection.execute(query).all()}


def evaluated_failures(connection: Connection, experiment_id: str) -> set[Key]:
    """The failed runs that evaluators have said something of, which counts nowhere."""
    r = experiment_runs.c
    query = sa.select(r.position, r.repetition_number).where(
        r.experiment_id == experiment_id, r.error.is_not(None), sa.exists(sa.select(1).where(*_of_the_run()))
    )
    return {(position, repetition) for position, repetition in connection.execute(query).all()}


def delete_evaluations_of_failed(connection: Connection, experiment_id: str, runs: Sequence[Key]) -> None:
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


def _times(connection: Connection, table: sa.Table, experiment_id: str) -> dict[_Named, float]:
    c = table.c
    stamp = c.updated_at if table is run_annotations else c.end_time
    query = sa.select(c.position, c.repetition_number, c.name, stamp).where(c.experiment_id == experiment_id)
    return {(position, repetition, name): time for position, repetition, name, time in connection.execute(query).all()}
