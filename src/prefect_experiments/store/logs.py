"""Experiments that were run elsewhere: the experiment and all its results come in at once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.models import DatasetVersion
from prefect_experiments.store.database import Database
from prefect_experiments.store.experiments import ExperimentRecord, ExperimentStore
from prefect_experiments.store.imports import ImportedRun, annotation_values, evaluation_values, run_values
from prefect_experiments.store.tables import evaluations, experiment_runs, run_annotations


class LogStore:
    """Takes whole experiments."""

    def __init__(self, database: Database, experiments: ExperimentStore) -> None:
        self._database = database
        self._experiments = experiments

    def put(
        self, name: str, version: DatasetVersion, runs: Sequence[ImportedRun], *, fingerprint: str, **fields: Any
    ) -> tuple[ExperimentRecord, bool]:
        """An experiment with these results.

        Args:
            name: the experiment's.
            version: what it is on.
            runs: with their verdicts; one for each example and repetition.
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
        verdicts = [(run, verdict) for run in runs for verdict in run.evaluations]
        people = [(run, verdict) for run, verdict in verdicts if verdict.annotator_kind == "HUMAN"]
        others = [(run, verdict) for run, verdict in verdicts if verdict.annotator_kind != "HUMAN"]
        self._put(connection, experiment_runs, [run_values(experiment_id, run) for run in runs])
        self._put(connection, evaluations, [evaluation_values(experiment_id, *pair) for pair in others])
        self._put(connection, run_annotations, [annotation_values(experiment_id, *pair) for pair in people])

    def _put(self, connection: Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self._database.write_many(connection, self._database.upsert(table), rows)
