"""What a backend calls the things that are kept here, and which results it does not have yet."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments import keys
from prefect_experiments.models import DatasetVersion, Experiment
from prefect_experiments.store.database import Database
from prefect_experiments.store.tables import (
    dataset_versions,
    evaluations,
    experiment_runs,
    linked_experiments,
    linked_versions,
    pushed_evaluations,
    pushed_runs,
    run_annotations,
)
from prefect_experiments.store.texts import plain_text


@dataclass(frozen=True, slots=True)
class Link:
    """An experiment's counterpart in a backend.

    Attributes:
        target: the backend and where it is, such as ``phoenix http://localhost:6006``.
        remote_id, remote_dataset_id, remote_version_id: as the backend calls them.
        project_name: where its traces go.
        url: its page for people.
    """

    id: str
    experiment_id: str
    target: str
    remote_id: str
    remote_dataset_id: str
    remote_version_id: str
    project_name: str | None = None
    url: str | None = None

    def leads_to(self, found: Experiment) -> bool:
        """Whether what a backend has by this id is the same experiment still.

        Ids alone do not do: Phoenix on SQLite gives that of a deleted experiment to the next one.
        """
        return self.project_name == found.project_name


class RemoteVersion(NamedTuple):
    """What a backend calls a dataset version.

    Attributes:
        made_at: when the dataset was made there, in seconds since the epoch. Ids alone do not do:
            Phoenix on SQLite gives those of a deleted dataset to the next one.
    """

    dataset_id: str
    version_id: str
    made_at: float | None


class OutgoingRun(NamedTuple):
    """An experiment run that the backend does not have, or has in an earlier state."""

    position: int
    repetition_number: int
    example_id: str
    output: str | None
    error: str | None
    start_time: float
    end_time: float
    trace_id: str | None


class OutgoingEvaluation(NamedTuple):
    """An evaluation or an annotation that the backend does not have, on a run that it has."""

    position: int
    repetition_number: int
    run_id: str
    name: str
    annotator_kind: str
    score: float | None
    label: str | None
    explanation: str | None
    metadata: str | None
    error: str | None
    start_time: float
    end_time: float
    trace_id: str | None


class Waiting(NamedTuple):
    """How many results wait for a backend, and how many it has refused."""

    runs: int
    evaluations: int
    refused: int

    @property
    def total(self) -> int:
        """Results that wait."""
        return self.runs + self.evaluations


Pushed = tuple[OutgoingRun | OutgoingEvaluation, str | None, str | None]
"""What was pushed, the id that a run got there, and why it was refused, if it was."""


class LinkStore:
    """Links between the store and backends, and the queue of what is to be pushed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def link_version(self, target: str, version: DatasetVersion, there: RemoteVersion) -> None:
        """Remember that a version is also kept in a backend."""
        row = {
            "target": target,
            "remote_version_id": there.version_id,
            "remote_dataset_id": there.dataset_id,
            "remote_made_at": there.made_at,
            "dataset_version_id": version.id,
            "linked_at": time.time(),
        }
        with self._database.write() as connection:
            connection.execute(self._database.upsert(linked_versions), [row])

    def remote_version(self, target: str, version: DatasetVersion) -> RemoteVersion | None:
        """What a backend calls a version, where it is known to have it."""
        c = linked_versions.c
        query = sa.select(c.remote_dataset_id, c.remote_version_id, c.remote_made_at)
        query = query.where(c.target == target, c.dataset_version_id == version.id).order_by(c.linked_at.desc())
        with self._database.read() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        return None if row is None else RemoteVersion(*row)

    def local_version(self, target: str, there: RemoteVersion) -> tuple[str, str] | None:
        """The ids of the dataset and the version here of a version that a backend has."""
        c = linked_versions.c
        query = (
            sa.select(dataset_versions.c.dataset_id, dataset_versions.c.id)
            .join(linked_versions, c.dataset_version_id == dataset_versions.c.id)
            .where(
                c.target == target, c.remote_version_id == there.version_id, c.remote_dataset_id == there.dataset_id
            )
            .where(c.remote_made_at.is_not_distinct_from(there.made_at))
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row[0], row[1])

    def link_experiment(
        self,
        experiment_id: str,
        target: str,
        *,
        remote_id: str,
        remote_dataset_id: str,
        remote_version_id: str,
        project_name: str | None,
        url: str | None,
    ) -> Link:
        """Remember that an experiment is also kept in a backend."""
        values = {
            "id": keys.new_id("link"),
            "experiment_id": experiment_id,
            "target": target,
            "remote_id": remote_id,
            "remote_dataset_id": remote_dataset_id,
            "remote_version_id": remote_version_id,
            "project_name": project_name,
            "url": url,
        }
        with self._database.write() as connection:
            connection.execute(linked_experiments.insert().values(linked_at=time.time(), **values))
        return Link(**values)  # type: ignore[arg-type]

    def of_experiment(self, experiment_id: str, target: str | None = None) -> Link | None:
        """An experiment's link, to one backend or the first there is."""
        c = linked_experiments.c
        return self._one(c.experiment_id == experiment_id, True if target is None else c.target == target)

    def of_remote(self, remote_id: str, target: str | None = None) -> Link | None:
        """The link of what a backend calls by this id."""
        c = linked_experiments.c
        return self._one(c.remote_id == remote_id, True if target is None else c.target == target)

    def unlink(self, link: Link) -> None:
        """Forget a link, and what was pushed over it."""
        with self._database.write() as connection:
            connection.execute(linked_experiments.delete().where(linked_experiments.c.id == link.id))

    def _one(self, *conditions: Any) -> Link | None:
        columns = [linked_experiments.c[name] for name in Link.__dataclass_fields__]
        query = sa.select(*columns).where(*conditions).order_by(linked_experiments.c.linked_at).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Link(*row)

    def waiting_runs(self, link: Link, limit: int) -> list[OutgoingRun]:
        """Runs that the backend lacks, in dataset order."""
        c = experiment_runs.c
        names = ("position", "repetition_number", "example_id", "output", "error", "start_time", "end_time", "trace_id")
        with self._database.read() as connection:
            query = _lacking_runs(link, *(c[name] for name in names)).order_by(c.position, c.repetition_number)
            return [OutgoingRun(*row) for row in connection.execute(query.limit(limit)).all()]

    def waiting_evaluations(self, link: Link, limit: int) -> list[OutgoingEvaluation]:
        """Evaluations and annotations that the backend lacks, of runs that it has."""
        with self._database.read() as connection:
            found = connection.execute(_lacking_evaluations(link, _EVALUATION).limit(limit)).all()
            if len(found) < limit:
                more = connection.execute(_lacking_annotations(link, _ANNOTATION).limit(limit - len(found))).all()
                found = [*found, *more]
            return [OutgoingEvaluation(*row) for row in found]

    def waiting(self, link: Link) -> Waiting:
        """How much waits, and how much was refused."""
        with self._database.read() as connection:
            runs = connection.execute(_lacking_runs(link, sa.func.count())).scalar_one()
            # Verdicts on runs that the backend lacks wait as well.
            verdicts = connection.execute(_unpushed(link, evaluations, sa.func.count())).scalar_one()
            verdicts += connection.execute(_unpushed_annotations(link, sa.func.count())).scalar_one()
            refused = sum(
                connection.execute(
                    sa.select(sa.func.count()).where(table.c.link_id == link.id, table.c.refused.is_not(None))
                ).scalar_one()
                for table in (pushed_runs, pushed_evaluations)
            )
        return Waiting(runs, verdicts, refused)

    def refusals(self, link: Link, limit: int = 5) -> list[str]:
        """What the backend said to results that it would not take."""
        found: list[str] = []
        with self._database.read() as connection:
            for table in (pushed_runs, pushed_evaluations):
                query = sa.select(table.c.refused).where(table.c.link_id == link.id, table.c.refused.is_not(None))
                found += connection.execute(query.distinct().limit(limit)).scalars()
        return found[:limit]

    def mark(self, link: Link, pushed: Iterable[Pushed]) -> None:
        """Remember what the backend has taken, or has refused."""
        runs, verdicts = [], []
        for item, remote_id, refused in pushed:
            refused = refused and plain_text(refused)
            key = (link.id, item.position, item.repetition_number)
            if isinstance(item, OutgoingRun):
                runs.append((*key, remote_id, item.end_time, refused))
            else:
                verdicts.append((*key, item.name, item.end_time, refused))
        with self._database.write(sync=False) as connection:
            self._put(connection, pushed_runs, runs)
            self._put(connection, pushed_evaluations, verdicts)

    def _put(self, connection: Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._database.write_many(connection, self._database.upsert(table), sorted(rows, key=lambda row: row[:4]))

    def retry_refused(self, link: Link) -> None:
        """Forget refusals, so that what was refused is pushed again."""
        with self._database.write() as connection:
            for table in (pushed_runs, pushed_evaluations):
                connection.execute(table.delete().where(table.c.link_id == link.id, table.c.refused.is_not(None)))

    def run_ids(self, link: Link) -> dict[tuple[int, int], str]:
        """What the backend calls each run, by (position, repetition)."""
        c = pushed_runs.c
        query = sa.select(c.position, c.repetition_number, c.remote_id)
        with self._database.read() as connection:
            rows = connection.execute(query.where(c.link_id == link.id, c.remote_id.is_not(None))).all()
        return {(position, repetition): remote_id for position, repetition, remote_id in rows}

    def remote_runs(self, link: Link) -> dict[str, str]:
        """What the backend calls each run, by its id here."""
        return {keys.run_id(link.experiment_id, *key): remote for key, remote in self.run_ids(link).items()}


def _same_run(left: sa.Table, right: sa.Table) -> Any:
    return sa.and_(left.c.position == right.c.position, left.c.repetition_number == right.c.repetition_number)


def _lacking_runs(link: Link, *columns: Any) -> Any:
    runs, pushed = experiment_runs, pushed_runs
    joined = sa.and_(pushed.c.link_id == link.id, _same_run(runs, pushed))
    return (
        sa.select(*columns)
        .select_from(runs.outerjoin(pushed, joined))
        .where(
            runs.c.experiment_id == link.experiment_id,
            sa.or_(pushed.c.stamp.is_(None), pushed.c.stamp != runs.c.end_time),
        )
    )


def _unpushed(link: Link, table: sa.Table, *columns: Any) -> Any:
    """The verdicts of a table that the backend lacks; annotations have but the time they were written at."""
    pushed = pushed_evaluations
    stamp = table.c.updated_at if table is run_annotations else table.c.end_time
    joined = sa.and_(pushed.c.link_id == link.id, _same_run(table, pushed), pushed.c.name == table.c.name)
    return (
        sa.select(*columns)
        .select_from(table.outerjoin(pushed, joined))
        .where(table.c.experiment_id == link.experiment_id, sa.or_(pushed.c.stamp.is_(None), pushed.c.stamp != stamp))
    )


def _of_pushed_runs(link: Link, table: sa.Table, query: Any) -> Any:
    """Only verdicts on runs that the backend has as they are now."""
    of_run = sa.and_(
        experiment_runs.c.experiment_id == link.experiment_id,
        _same_run(table, experiment_runs),
        pushed_runs.c.link_id == link.id,
        _same_run(table, pushed_runs),
        pushed_runs.c.stamp == experiment_runs.c.end_time,
        pushed_runs.c.remote_id.is_not(None),
    )
    return query.where(of_run).order_by(table.c.position, table.c.repetition_number, table.c.name)


_e, _a = evaluations.c, run_annotations.c
_EVALUATION = (
    *(_e.position, _e.repetition_number, pushed_runs.c.remote_id, _e.name, _e.annotator_kind, _e.score, _e.label),
    *(_e.explanation, _e.metadata, _e.error, _e.start_time, _e.end_time, _e.trace_id),
)
_NOTHING = sa.null()
_ANNOTATION = (
    *(_a.position, _a.repetition_number, pushed_runs.c.remote_id, _a.name, sa.literal("HUMAN"), _a.score, _a.label),
    *(_a.text, _NOTHING, _NOTHING, _a.updated_at, _a.updated_at, _NOTHING),
)


def _lacking_evaluations(link: Link, columns: Sequence[Any]) -> Any:
    return _of_pushed_runs(link, evaluations, _unpushed(link, evaluations, *columns))


def _unpushed_annotations(link: Link, *columns: Any) -> Any:
    """A backend has one verdict of a name on a run: an evaluator's goes before a person's."""
    same = sa.and_(
        evaluations.c.experiment_id == link.experiment_id,
        _same_run(run_annotations, evaluations),
        evaluations.c.name == run_annotations.c.name,
    )
    return _unpushed(link, run_annotations, *columns).where(~sa.exists(sa.select(1).where(same)))


def _lacking_annotations(link: Link, columns: Sequence[Any]) -> Any:
    return _of_pushed_runs(link, run_annotations, _unpushed_annotations(link, *columns))
