"""Runs with all that belongs to them, read a page at a time: in memory there is never more than one page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.models import DatasetVersion, Example
from prefect_experiments.records import EvaluationRecord, Key, RunRecord, annotation_record
from prefect_experiments.store.database import Database
from prefect_experiments.store.datasets import at_version
from prefect_experiments.store.examples import ExampleRow, to_example
from prefect_experiments.store.patience import patient
from prefect_experiments.store.rows import ANNOTATION_COLUMNS, EVALUATION_COLUMNS, RUN_COLUMNS
from prefect_experiments.store.tables import evaluations, examples, experiment_runs

PAGE_SIZE = 500
_REPETITIONS = 1024  # more than an example can have
_MANY = 10_000  # rows of a few numbers
_TEXTS = {"output", "explanation", "text"}


class RunPage(NamedTuple):
    """Some runs that stand next to each other, what was said of them, and their examples by id."""

    runs: list[RunRecord]
    evaluations: Sequence[EvaluationRecord] = ()
    annotations: Sequence[EvaluationRecord] = ()
    examples: Mapping[str, Example] = {}


class RunPages:
    """Reads the runs of experiments page by page. Each page is of one moment, and asked for again where it must be."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def each(self, experiment_id: str, version: DatasetVersion) -> Iterator[RunPage]:
        """All runs in dataset order, then by repetition, with everything."""
        return self._pages(experiment_id, version)

    def without_texts(self, experiment_id: str) -> Iterator[RunPage]:
        """The same runs with their scores, labels, metadata and figures: an error is there as an empty text."""
        return self._pages(experiment_id, None)

    @patient
    def at(self, experiment_id: str, version: DatasetVersion, positions: Collection[int]) -> RunPage:
        """The runs of the examples at some positions, with everything."""
        with self._database.read() as connection:
            return self._page(connection, experiment_id, version, lambda c: c.position.in_(positions))

    def positions(self, experiment_id: str) -> Iterator[tuple[str, int]]:
        """By example that has a run its position, some more than once."""
        c = experiment_runs.c
        query = sa.select(c.example_id, c.position, c.repetition_number).where(c.experiment_id == experiment_id)
        after: Key = (-1, 0)
        while rows := self._rows(_next(query, after, _MANY)):
            for example_id, *key in rows:
                yield example_id, key[0]
            after = key[0], key[1]

    @patient
    def count(self, experiment_id: str) -> int:
        """How many runs an experiment has."""
        query = sa.select(sa.func.count()).where(experiment_runs.c.experiment_id == experiment_id)
        return int(self._rows(query)[0][0])

    @patient
    def examples(self, version: DatasetVersion, positions: Sequence[int]) -> dict[str, Example]:
        """The examples at some positions, by id."""
        found: dict[str, Example] = {}
        with self._database.read() as connection:
            for start in range(0, len(positions), PAGE_SIZE):
                found |= self._examples(connection, version, {*positions[start : start + PAGE_SIZE]})
        return found

    @patient
    def names(self, experiment_id: str) -> list[tuple[str, str, bool]]:
        """Of the evaluations each evaluator and name once, as they first come, and whether any has a score or label."""
        c = evaluations.c
        has_content = sa.func.max(sa.case((c.score.is_not(None) | c.label.is_not(None), 1), else_=0))
        first = sa.func.min(sa.cast(c.position, sa.BigInteger) * _REPETITIONS + c.repetition_number)
        query = sa.select(c.evaluator, c.name, has_content).where(c.experiment_id == experiment_id)
        rows = self._rows(query.group_by(c.evaluator, c.name).order_by(first, c.name))
        return [(evaluator, name, bool(has_some)) for evaluator, name, has_some in rows]

    @patient
    def _rows(self, query: Any) -> Sequence[Any]:
        with self._database.read() as connection:
            return connection.execute(query).all()

    def _pages(self, experiment_id: str, version: DatasetVersion | None) -> Iterator[RunPage]:
        after: Key = (-1, 0)
        while (page := self._page_after(experiment_id, version, after)).runs:
            yield page
            after = page.runs[-1].key

    @patient
    def _page_after(self, experiment_id: str, version: DatasetVersion | None, after: Key) -> RunPage:
        with self._database.read() as connection:
            c = experiment_runs.c
            query = sa.select(c.position, c.repetition_number).where(c.experiment_id == experiment_id)
            last = connection.execute(_next(query, after, PAGE_SIZE)).all()[-1:]
            if not last:
                return RunPage([])
            return self._page(connection, experiment_id, version, lambda c: _after(c, after) & ~_after(c, last[0]))

    def _page(
        self,
        connection: Connection,
        experiment_id: str,
        version: DatasetVersion | None,
        chosen: Callable[[Any], Any],
    ) -> RunPage:
        """The runs that a condition holds for, and what belongs to them; without a version, as `without_texts`."""

        def rows(columns: Sequence[sa.Column[Any]], *by: str) -> Iterable[Any]:
            c = columns[0].table.c
            shown = columns if version is not None else [_short(column) for column in columns]
            query = sa.select(*shown).where(c.experiment_id == experiment_id, chosen(c))
            ordered = query.order_by(c.position, c.repetition_number, *(c[name] for name in by))
            return connection.execute(ordered).all()

        runs = [RunRecord(*row) for row in rows(RUN_COLUMNS)]
        given = [EvaluationRecord(*row) for row in rows(EVALUATION_COLUMNS, "name")]
        notes = [annotation_record(*row) for row in rows(ANNOTATION_COLUMNS, "name")]
        if version is None:
            return RunPage(runs, given, notes)
        return RunPage(runs, given, notes, self._examples(connection, version, {run.position for run in runs}))

    def _examples(
        self, connection: Connection, version: DatasetVersion, positions: Collection[int]
    ) -> dict[str, Example]:
        c = examples.c
        query = sa.select(*(c[name] for name in ExampleRow._fields))
        query = query.where(at_version(version.dataset_id, version.number), c.position.in_(positions))
        rows = (ExampleRow(*row) for row in connection.execute(query).all())
        return {row.example_id: to_example(row) for row in rows}


def _after(c: Any, key: Key) -> sa.ColumnElement[bool]:
    """Whether a row is of a later run."""
    later: sa.ColumnElement[bool] = sa.tuple_(c.position, c.repetition_number) > sa.tuple_(*key)
    return later


def _next(query: Any, after: Key, most: int) -> Any:
    c = experiment_runs.c
    return query.where(_after(c, after)).order_by(c.position, c.repetition_number).limit(most)


def _short(column: sa.Column[Any]) -> Any:
    if column.name == "error":
        return sa.case((column.is_not(None), ""))
    return sa.null() if column.name in _TEXTS else column
