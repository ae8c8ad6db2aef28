"""What a backend calls the things that are kept here, and which results it does not have yet."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
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
        remote_id, remote_dataset_id, remote_version_id: as the backend calls them; the first is the
            experiment's id here until it is begun there.
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

    @property
    def is_begun(self) -> bool:
        """Whether the backend has the experiment; one that takes no empty ones gets it with the first results."""
        return self.remote_id != self.experiment_id

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


class OutgoingRow(NamedTuple):
    """A run with its evaluations, for a backend that takes them together.

    Attributes:
        metadata: JSON object of what else is known of a run that was made elsewhere.
    """

    run: OutgoingRun
    token_count: int | None
    total_cost: float | None
    metadata: str | None
    evaluations: tuple[OutgoingEvaluation, ...]

    @property
    def position(self) -> int:
        """Of the example."""
        return self.run.position

    @property
    def repetition_number(self) -> int:
        """Of the run."""
        return self.run.repetition_number


Outgoing = OutgoingRun | OutgoingEvaluation | OutgoingRow
Pushed = tuple[Outgoing, str | None, str | None]
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
            .where(c.target == target, c.remote_version_id == there.version_id, c.remote_dataset_id == there.dataset_id)
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
        """Remember that an experiment is also kept in a backend; the link that there is, where another came first."""
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
        c = linked_experiments.c
        with self._database.write(alone=True) as connection:
            first = _link(connection, c.experiment_id == experiment_id, c.target == target)
            if first is None:
                connection.execute(linked_experiments.insert().values(linked_at=time.time(), **values))
        return first or Link(**values)  # type: ignore[arg-type]

    def begun(self, link: Link, remote_id: str) -> Link:
        """Remember that the backend has the experiment now, unless it is known already."""
        c = linked_experiments.c
        update = linked_experiments.update().where(c.id == link.id, c.remote_id == link.experiment_id)
        with self._database.write() as connection:
            connection.execute(update.values(remote_id=remote_id))
        return self._one(c.id == link.id) or link

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
        with self._database.read() as connection:
            return _link(connection, *conditions)

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
            found = [OutgoingEvaluation(*row) for row in connection.execute(_lacking_evaluations(link).limit(limit))]
            if len(found) < limit:
                notes = connection.execute(_lacking_annotations(link).limit(limit - len(found)))
                found += [_with_metadata(OutgoingEvaluation(*row)) for row in notes]
            return found

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
            if isinstance(item, OutgoingEvaluation):
                verdicts.append((*key, item.name, item.end_time, refused))
                continue
            run, given = (item.run, item.evaluations) if isinstance(item, OutgoingRow) else (item, ())
            runs.append((*key, remote_id, run.end_time, refused))
            verdicts += [(*key, verdict.name, verdict.end_time, refused) for verdict in given]
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

    def experiments_of_runs(self, target: str, remote_ids: Sequence[str]) -> set[str]:
        """The experiments here that runs of a backend belong to, as far as they are known here."""
        c = linked_experiments.c
        query = sa.select(c.experiment_id).distinct().join(pushed_runs, pushed_runs.c.link_id == c.id)
        query = query.where(c.target == target)
        found: set[str] = set()
        with self._database.read() as connection:
            for start in range(0, len(remote_ids), 500):
                some = pushed_runs.c.remote_id.in_(remote_ids[start : start + 500])
                found.update(connection.execute(query.where(some)).scalars())
        return found

    def remote_runs(self, link: Link) -> dict[str, str]:
        """What the backend calls each run, by its id here."""
        return {keys.run_id(link.experiment_id, *key): remote for key, remote in self.run_ids(link).items()}


def _link(connection: Connection, *conditions: Any) -> Link | None:
    columns = [linked_experiments.c[name] for name in Link.__dataclass_fields__]
    query = sa.select(*columns).where(*conditions).order_by(linked_experiments.c.linked_at).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else Link(*row)


# The joins are written as subqueries on whole primary keys: PostgreSQL knows nothing yet of tables that have just
# been filled, and has been seen to compare every run with every pushed one (6 s at 20,000) where it was left a choice.


def _stamp(link: Link, pushed: sa.Table, result: sa.Table, *conditions: Any) -> Any:
    """The end time of what the backend has of a result; null where it has none."""
    query = sa.select(pushed.c.stamp).where(pushed.c.link_id == link.id, _same_run(pushed, result), *conditions)
    return query.correlate(result).scalar_subquery()


def _same_run(left: sa.Table, right: sa.Table) -> Any:
    return sa.and_(left.c.position == right.c.position, left.c.repetition_number == right.c.repetition_number)


def _lacking_runs(link: Link, *columns: Any) -> Any:
    runs = experiment_runs
    return sa.select(*columns).where(
        runs.c.experiment_id == link.experiment_id, runs.c.end_time.is_distinct_from(_stamp(link, pushed_runs, runs))
    )


def _unpushed(link: Link, table: sa.Table, *columns: Any) -> Any:
    """The verdicts of a table that the backend lacks; annotations have but the time they were written at."""
    stamp = table.c.updated_at if table is run_annotations else table.c.end_time
    there = _stamp(link, pushed_evaluations, table, pushed_evaluations.c.name == table.c.name)
    return sa.select(*columns).where(table.c.experiment_id == link.experiment_id, stamp.is_distinct_from(there))


def _unpushed_annotations(link: Link, *columns: Any) -> Any:
    """A backend has one verdict of a name on a run: an evaluator's goes before a person's."""
    same = sa.and_(
        evaluations.c.experiment_id == link.experiment_id,
        _same_run(run_annotations, evaluations),
        evaluations.c.name == run_annotations.c.name,
    )
    return _unpushed(link, run_annotations, *columns).where(~sa.exists(sa.select(1).where(same)))


def _run_there(link: Link, verdicts: sa.Table) -> Any:
    """What the backend calls the run of a verdict; null where it does not have it as it is now."""
    runs, pushed = experiment_runs, pushed_runs
    query = (
        sa.select(pushed.c.remote_id)
        .select_from(pushed.join(runs, sa.and_(_same_run(pushed, runs), pushed.c.stamp == runs.c.end_time)))
        .where(pushed.c.link_id == link.id, _same_run(pushed, verdicts), runs.c.experiment_id == link.experiment_id)
    )
    return query.correlate(verdicts).scalar_subquery()


def _lacking_evaluations(link: Link) -> Any:
    c = evaluations.c
    run = _run_there(link, evaluations)
    query = _unpushed(
        link,
        evaluations,
        *(c.position, c.repetition_number, run, c.name, c.annotator_kind, c.score, c.label),
        *(c.explanation, c.metadata, c.error, c.start_time, c.end_time, c.trace_id),
    )
    return query.where(run.is_not(None)).order_by(c.position, c.repetition_number, c.name)


def _lacking_annotations(link: Link) -> Any:
    """As `_lacking_evaluations`, with the annotator in the place of the metadata."""
    c, nothing = run_annotations.c, sa.null()
    run = _run_there(link, run_annotations)
    query = _unpushed_annotations(
        link,
        *(c.position, c.repetition_number, run, c.name, sa.literal("HUMAN"), c.score, c.label),
        *(c.text, c.annotator, nothing, c.updated_at, c.updated_at, nothing),
    )
    return query.where(run.is_not(None)).order_by(c.position, c.repetition_number, c.name)


def _with_metadata(note: OutgoingEvaluation) -> OutgoingEvaluation:
    metadata = annotation_metadata(note.metadata)
    return note._replace(metadata=None if metadata is None else orjson.dumps(metadata).decode())


def annotation_metadata(annotator: str | None) -> dict[str, str] | None:
    """What a backend gets as the metadata of a person's verdict: they have no other place for who has given it."""
    return {"annotator": annotator} if annotator else None


def annotator_in(metadata: str | None) -> str | None:
    """Who has given a verdict, from the JSON text of its metadata."""
    found = orjson.loads(metadata).get("annotator") if metadata else None
    return plain_text(found) if isinstance(found, str) else None
