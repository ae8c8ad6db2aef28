"""What a backend calls the things that are kept here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments import keys
from prefect_experiments.models import DatasetVersion, Experiment
from prefect_experiments.records import RunIds
from prefect_experiments.store.database import Database
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.tables import (
    dataset_versions,
    linked_experiments,
    linked_versions,
    pushed_runs,
)


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


@all_patient
class LinkStore:
    """Links between the store and backends."""

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

    def run_ids(self, experiment_id: str, link: Link | None) -> RunIds:
        """What the runs of an experiment are called: as the backend has them, where the experiment is linked to one."""
        if link is None:
            return RunIds(experiment_id)
        c = pushed_runs.c
        query = sa.select(c.position, c.repetition_number, c.remote_id)
        with self._database.read() as connection:
            rows = connection.execute(query.where(c.link_id == link.id, c.remote_id.is_not(None))).all()
        remote = {(position, repetition): remote_id for position, repetition, remote_id in rows}
        return RunIds(experiment_id, link.remote_id, remote)

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


def _link(connection: Connection, *conditions: Any) -> Link | None:
    columns = [linked_experiments.c[name] for name in Link.__dataclass_fields__]
    query = sa.select(*columns).where(*conditions).order_by(linked_experiments.c.linked_at).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else Link(*row)
