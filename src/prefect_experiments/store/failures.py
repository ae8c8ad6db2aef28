"""What failed in an experiment, counted by the database: which errors, how often, on which example first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from prefect_experiments.store.database import Database
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.tables import evaluations, experiment_runs


class ErrorCount(NamedTuple):
    """One text of an error.

    Attributes:
        evaluator: whose; ``None`` for the task's.
        error: the text as it is kept.
        times: how often.
        position: of the first example.
    """

    evaluator: str | None
    error: str
    times: int
    position: int


class CallCount(NamedTuple):
    """How many calls were made, and how many of them failed."""

    made: int
    failed: int


@all_patient
class FailureStore:
    """Counts errors; the results themselves are read by `ResultStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def errors(self, experiment_id: str) -> list[ErrorCount]:
        """Every text of an error, with its count."""
        runs, given = experiment_runs.c, evaluations.c
        of_task = (
            sa.select(sa.null(), runs.error, sa.func.count(), sa.func.min(runs.position))
            .where(runs.experiment_id == experiment_id, runs.error.is_not(None))
            .group_by(runs.error)
        )
        of_evaluators = (
            sa.select(given.evaluator, given.error, sa.func.count(), sa.func.min(given.position))
            .where(given.experiment_id == experiment_id, given.error.is_not(None))
            .group_by(given.evaluator, given.error)
        )
        with self._database.read() as connection:
            return [ErrorCount(*row) for query in (of_task, of_evaluators) for row in connection.execute(query).all()]

    def evaluator_calls(self, experiment_id: str) -> Mapping[str, CallCount]:
        """By evaluator, how many evaluations and errors it gave."""
        c = evaluations.c
        query = sa.select(c.evaluator, sa.func.count(), sa.func.count(c.error)).where(c.experiment_id == experiment_id)
        with self._database.read() as connection:
            rows = connection.execute(query.group_by(c.evaluator)).all()
        return {evaluator: CallCount(made, failed) for evaluator, made, failed in rows}

    def example_ids(self, experiment_id: str, positions: Collection[int]) -> Mapping[int, str]:
        """The ids of the examples at some positions."""
        c = experiment_runs.c
        query = sa.select(c.position, c.example_id).where(c.experiment_id == experiment_id, c.position.in_(positions))
        with self._database.read() as connection:
            return {row.position: row.example_id for row in connection.execute(query).all()}
