"""Experiments in the store: what was run, on what, by which evaluators; and their tags."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments import keys
from prefect_experiments.datasets.kept_rows import sliced
from prefect_experiments.errors import InvalidInput, NotFound, unknown_value
from prefect_experiments.jsonable import dumps_strict
from prefect_experiments.models import DatasetVersion, Experiment
from prefect_experiments.origin import marked
from prefect_experiments.pages import Pagination
from prefect_experiments.store.database import Database
from prefect_experiments.store.experiment_records import (
    EvaluatorRecord,
    ExperimentRecord,
    TaskRecord,
    experiment_record,
)
from prefect_experiments.store.named import LATEST, ambiguous, by_newest, newest_of
from prefect_experiments.store.paging import check_name, page
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.sanitize import MOST_NAMES, nearest_first, object_text
from prefect_experiments.store.tables import (
    dataset_versions,
    datasets,
    experiment_evaluators,
    experiment_runs,
    experiment_tags,
    experiments,
    linked_experiments,
)
from prefect_experiments.store.tag_moves import let_go, move
from prefect_experiments.texts import plain_text
from prefect_experiments.times import to_datetime

_IDS_AT_ONCE = 500
_LONGEST_NAME = 255  # an evaluator's name is part of a key, and PostgreSQL limits the length of those


@all_patient
class ExperimentStore:
    """Create, find, list, tag and delete experiments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        version: DatasetVersion,
        *,
        task: TaskRecord,
        evaluators: Sequence[EvaluatorRecord] = (),
        repetitions: int = 1,
        positions: Sequence[int] | None = None,
        splits: Sequence[str] = (),
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        project_name: str | None = None,
        logged: str | None = None,
        now: float | None = None,
        experiment_id: str | None = None,
        connection: Connection | None = None,
    ) -> ExperimentRecord:
        """A new experiment. Names need not be unique.

        Args:
            name: of the experiment, like what follows.
            version: what it is on.
            task: what is run.
            evaluators: what scores it.
            repetitions: how often each example is run.
            positions: of the version's examples, those that are used; all of them without.
            splits: what `positions` was chosen by.
            description: a sentence for people.
            metadata: a JSON object.
            project_name: where its traces go.
            logged: a fingerprint of its results, where they were made elsewhere.
            now: when it is made, where that is a time of its runs as well.
            experiment_id: a new id that the caller has made of it; one that is there already was made by an earlier
                try, and stays as it is.
            connection: a transaction for writing, alone, to do it in; one of its own without.

        Raises:
            NotFound: the dataset version is no longer there.
        """
        experiment_id = keys.new_id("exp") if experiment_id is None else experiment_id
        now = time.time() if now is None else now
        with contextlib.nullcontext(connection) if connection else self._database.write(alone=True) as connection:
            if found := self._records(connection, [experiment_id]):
                return found[experiment_id]
            connection.execute(
                experiments.insert().values(
                    id=experiment_id,
                    name=check_name(name, "experiment"),
                    description=description and plain_text(description),
                    metadata=object_text(metadata, "the experiment's metadata"),
                    dataset_id=version.dataset_id,
                    dataset_version_id=version.id,
                    splits=dumps_strict(list(splits)),
                    positions=None if positions is None else dumps_strict(list(positions)),
                    example_count=version.example_count if positions is None else len(positions),
                    repetitions=repetitions,
                    task=task.name,
                    task_fingerprint=task.fingerprint,
                    task_reference=task.reference,
                    project_name=project_name,
                    created_at=now,
                    updated_at=now,
                    logged=logged,
                    number=sa.select(sa.func.coalesce(sa.func.max(experiments.c.number), 0) + 1).scalar_subquery(),
                )
            )
            self._put_evaluators(connection, experiment_id, evaluators)
            return self._record(connection, experiment_id)

    def find_logged(
        self, connection: Connection, name: str, version: DatasetVersion, logged: str
    ) -> ExperimentRecord | None:
        """The newest experiment of a name on a version whose results have this fingerprint, if there is one."""
        c = experiments.c
        query = sa.select(c.id).where(c.name == name, c.dataset_version_id == version.id, c.logged == logged)
        found = connection.execute(query.order_by(c.number.desc()).limit(1)).scalar()
        return None if found is None else self._record(connection, found)

    def put_evaluators(self, experiment_id: str, evaluators: Sequence[EvaluatorRecord]) -> None:
        """Add evaluators to an experiment, or take note that they have changed.

        Raises:
            NotFound: there is no such experiment.
        """
        with self._database.write() as connection:
            # First, so that on PostgreSQL, too, others who add evaluators wait here.
            found = connection.execute(
                experiments.update().where(experiments.c.id == experiment_id).values(updated_at=time.time())
            )
            if not found.rowcount:
                raise NotFound(f"there is no experiment {experiment_id!r}")
            self._put_evaluators(connection, experiment_id, evaluators)

    def get(self, experiment: str, *, dataset: str | None = None, to_continue: bool = False) -> ExperimentRecord:
        """An experiment by id (its own, or a backend's), name, ``tag:NAME``, ``latest`` or ``latest:NAME``.

        ``latest`` is the one that was made last of those that have a run: one of which a kill has left nothing but its
        name is not, unless there are no others.

        Args:
            experiment: which one.
            dataset: name or id of the dataset that a name, tag or ``latest`` is looked for in.
            to_continue: whether the caller is to make its runs; then ``latest`` need not have any.

        Raises:
            NotFound: there is none.
            AmbiguousName: several have the name or tag; they are listed.
        """
        with self._database.read() as connection:
            return self._record(connection, self._find(connection, experiment, dataset, to_continue=to_continue))

    def page(
        self, *, dataset: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[Experiment], Pagination]:
        """Experiments, newest first."""
        with self._database.read() as connection:
            query = sa.select(experiments)
            if dataset is not None:
                query = query.where(experiments.c.dataset_id == self._dataset_id(connection, dataset))
            rows, pagination = page(connection, query, limit, cursor, by=[experiments.c.number])
            records = self._records(connection, [row.id for row in rows])
            return [records[row.id].experiment for row in rows], pagination

    def of_dataset(
        self, dataset: str, *, since: float | None = None, last: int | None = None
    ) -> tuple[list[ExperimentRecord], int]:
        """The experiments on a dataset, the first that was made first, and how many there are in all.

        Args:
            dataset: name or id.
            since: only those that were made at this time or later, in seconds since the epoch.
            last: only so many, the newest.

        Raises:
            NotFound: there is no such dataset.
        """
        c = experiments.c
        with self._database.read() as connection:
            mine = c.dataset_id == self._dataset_id(connection, dataset)
            total = connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one()
            query = sa.select(c.id).where(mine, sa.true() if since is None else c.created_at >= since)
            ids = list(connection.execute(query.order_by(c.number.desc()).limit(last)).scalars())[::-1]
            records: dict[str, ExperimentRecord] = {}
            for some in sliced(ids, _IDS_AT_ONCE):
                records |= self._records(connection, some)
            return [records[found] for found in ids], total

    def mentioning(self, text: str) -> list[Experiment]:
        """Those with a text in their metadata, such as an id, newest first."""
        with self._database.read() as connection:
            c = experiments.c
            query = sa.select(c.id).where(c.metadata.contains(text, autoescape=True)).order_by(c.number.desc())
            ids = list(connection.execute(query).scalars())
            records = self._records(connection, ids)
            return [records[found].experiment for found in ids]

    def delete(self, experiment_id: str) -> None:
        """Delete an experiment with its runs, evaluations, annotations and tags."""
        with self._database.write(alone=True) as connection:
            let_go(connection, experiment_id)
            connection.execute(experiments.delete().where(experiments.c.id == experiment_id))

    def note(self, experiment_id: str, **facts: Any) -> ExperimentRecord:
        """Add facts on where an experiment comes from to its metadata; see `prefect_experiments.origin`."""
        with self._database.write(alone=True) as connection:
            record = self._record(connection, experiment_id)
            known = marked(record.experiment.metadata, **record.experiment.origin)
            if (metadata := marked(known, **facts)) == known:
                return record
            text = object_text(metadata, "the experiment's metadata")
            connection.execute(experiments.update().where(experiments.c.id == experiment_id).values(metadata=text))
            return self._record(connection, experiment_id)

    def tag(self, experiment_id: str, tag: str) -> None:
        """Give an experiment a tag; another experiment of the same dataset loses it."""
        check_name(tag, "tag")
        with self._database.write(alone=True) as connection:
            mine = self._record(connection, experiment_id).experiment
            if tag in mine.tags:  # since when, is known or will never be
                return
            values = {"dataset_id": mine.dataset_id, "tag": tag, "experiment_id": experiment_id}
            connection.execute(self._database.upsert(experiment_tags), [values])
            move(connection, mine.dataset_id, tag, experiment_id)

    def tags(self, dataset: str) -> list[str]:
        """The tags that experiments of a dataset have; none where there is no such dataset."""
        c = experiment_tags.c
        query = sa.select(c.tag).join(datasets, datasets.c.id == c.dataset_id).order_by(c.tag)
        with self._database.read() as connection:
            found = query.where((datasets.c.id == dataset) | (datasets.c.name == dataset))
            return list(connection.execute(found).scalars())

    def elsewhere(self, named: str, dataset: str) -> list[tuple[str, str, datetime]]:
        """The experiments of other datasets that have this name or ``tag:NAME``, the newest first.

        Returns:
            Of each its dataset's name, its id, and when it was made.
        """
        c = experiments.c
        query = (
            sa.select(datasets.c.name, c.id, c.created_at)
            .join(datasets, datasets.c.id == c.dataset_id)
            .order_by(c.number.desc())
        )
        query = query.where(datasets.c.name != dataset, datasets.c.id != dataset)
        if named.startswith("tag:"):
            tagged = sa.select(experiment_tags.c.experiment_id)
            query = query.where(c.id.in_(tagged.where(experiment_tags.c.tag == named.removeprefix("tag:"))))
        else:
            query = query.where(c.name == named)
        with self._database.read() as connection:
            return [(row[0], row[1], to_datetime(row[2])) for row in connection.execute(query.limit(100)).all()]

    def untag(self, experiment_id: str, tag: str) -> None:
        """Take a tag away."""
        with self._database.write(alone=True) as connection:
            where = experiment_tags.c.experiment_id == experiment_id, experiment_tags.c.tag == tag
            found = connection.execute(experiment_tags.delete().where(*where))
            if not found.rowcount:
                raise NotFound(f"experiment {experiment_id} has no tag {tag!r}")
            let_go(connection, experiment_id, tag)

    def _put_evaluators(self, connection: Connection, experiment_id: str, records: Sequence[EvaluatorRecord]) -> None:
        query = sa.select(experiment_evaluators.c.name).where(experiment_evaluators.c.experiment_id == experiment_id)
        known = list(connection.execute(query.order_by(experiment_evaluators.c.position)).scalars())
        order = known + [record.name for record in records if record.name not in known]
        for name in order:
            if len(name) > _LONGEST_NAME:
                raise InvalidInput(f"an evaluator's name must be at most {_LONGEST_NAME} characters, got {name!r:.60}")
        rows = [
            {
                "experiment_id": experiment_id,
                "name": record.name,
                "position": order.index(record.name),
                "kind": record.kind,
                "fingerprint": record.fingerprint,
                "reference": record.reference,
                "positions": None if record.positions is None else orjson.dumps(record.positions).decode(),
            }
            for record in records
        ]
        if rows:
            connection.execute(self._database.upsert(experiment_evaluators), rows)

    def _find(self, connection: Connection, experiment: str, dataset: str | None, *, to_continue: bool) -> str:
        # Before the dataset: an id needs none, and the dataset may not be here yet.
        by_id = connection.execute(sa.select(experiments.c.id).where(experiments.c.id == experiment)).scalar()
        if by_id is not None:
            return str(by_id)
        scope = None if dataset is None else self._dataset_id(connection, dataset)
        if experiment.startswith("tag:"):
            return self._by_tag(connection, experiment.removeprefix("tag:"), scope)
        query = sa.select(experiments.c.id).order_by(experiments.c.number.desc())
        if scope is not None:
            query = query.where(experiments.c.dataset_id == scope)
        if experiment == LATEST:
            if (found := self._newest(connection, query, to_continue)) is not None:
                return found
            raise NotFound("there is no experiment yet" + (f" on dataset {dataset!r}" if dataset else ""))
        if (name := newest_of(experiment)) is not None:
            if (found := self._newest(connection, query.where(experiments.c.name == name), to_continue)) is not None:
                return found
            if connection.execute(sa.select(datasets.c.id).where(datasets.c.name == name)).scalar() is None:
                raise self._unknown(connection, name, scope)
            return self._find(connection, LATEST, name, to_continue=to_continue)
        c = linked_experiments.c
        by_link = connection.execute(sa.select(c.experiment_id).where(c.remote_id == experiment).distinct()).scalars()
        if linked := list(by_link):
            return self._only(connection, linked, f"experiments are called {experiment!r} in different backends")
        named = list(connection.execute(query.where(experiments.c.name == experiment)).scalars())
        if not named:
            raise self._unknown(connection, experiment, scope)
        return self._only(connection, named, f"experiments are called {experiment!r}", by_newest(experiment))

    def _newest(self, connection: Connection, query: Any, to_continue: bool) -> str | None:
        """The first of some experiments, newest first, that has a run, unless it is to be gone on with; else of all."""
        has_runs = sa.exists().where(experiment_runs.c.experiment_id == experiments.c.id)
        for chosen in [query] if to_continue else [query.where(has_runs), query]:
            if (found := connection.execute(chosen.limit(1)).scalar()) is not None:
                return str(found)
        return None

    def _unknown(self, connection: Connection, name: str, scope: str | None) -> NotFound:
        names = sa.select(experiments.c.name).distinct().limit(MOST_NAMES)
        if scope is not None:
            names = names.where(experiments.c.dataset_id == scope)
        known = connection.execute(names).scalars()
        return NotFound(unknown_value("experiment", name, nearest_first(name, known)))

    def _only(self, connection: Connection, found: list[str], what: str, instead: str = "") -> str:
        if len(found) == 1:
            return found[0]
        query = sa.select(experiments.c.id, experiments.c.created_at).where(experiments.c.id.in_(found))
        rows = connection.execute(query.order_by(experiments.c.number.desc())).all()
        raise ambiguous(what, [(row.id, to_datetime(row.created_at)) for row in rows], instead=instead)

    def _by_tag(self, connection: Connection, tag: str, scope: str | None) -> str:
        query = sa.select(experiment_tags.c.experiment_id).where(experiment_tags.c.tag == tag)
        if scope is not None:
            query = query.where(experiment_tags.c.dataset_id == scope)
        found = list(connection.execute(query).scalars())
        if not found:
            known = sa.select(experiment_tags.c.tag).distinct().limit(MOST_NAMES)
            if scope is not None:
                known = known.where(experiment_tags.c.dataset_id == scope)
            if not (tags := list(connection.execute(known).scalars())):
                raise NotFound(f"no experiment has the tag {tag!r}; give one with `tag`")
            raise NotFound(unknown_value("tag", tag, nearest_first(tag, tags)))
        return self._only(connection, found, f"experiments have the tag {tag!r}, on different datasets; say dataset=")

    def _dataset_id(self, connection: Connection, dataset: str) -> str:
        query = sa.select(datasets.c.id).where((datasets.c.id == dataset) | (datasets.c.name == dataset))
        found = list(connection.execute(query).scalars())
        if not found:
            names = connection.execute(sa.select(datasets.c.name).limit(MOST_NAMES)).scalars()
            raise NotFound(unknown_value("dataset", dataset, nearest_first(dataset, names)))
        return dataset if dataset in found else str(found[0])

    def _record(self, connection: Connection, experiment_id: str) -> ExperimentRecord:
        found = self._records(connection, [experiment_id])
        if not found:
            raise NotFound(f"there is no experiment {experiment_id!r}")
        return found[experiment_id]

    def _records(self, connection: Connection, ids: Sequence[str]) -> dict[str, ExperimentRecord]:
        """Those of the experiments that there are, by id; in three queries, however many."""
        query = (
            sa.select(
                experiments,
                datasets.c.name.label("dataset_name"),
                dataset_versions.c.number.label("version_number"),
                dataset_versions.c.example_count.label("version_example_count"),
                dataset_versions.c.created_at.label("version_created_at"),
            )
            .join(datasets, datasets.c.id == experiments.c.dataset_id)
            .join(dataset_versions, dataset_versions.c.id == experiments.c.dataset_version_id)
            .where(experiments.c.id.in_(ids))
        )
        evaluators = self._evaluators(connection, ids)
        tags = self._tags(connection, ids)
        rows = connection.execute(query).all()
        return {row.id: experiment_record(row, evaluators.get(row.id, ()), tags.get(row.id, ())) for row in rows}

    def _evaluators(self, connection: Connection, ids: Sequence[str]) -> dict[str, list[EvaluatorRecord]]:
        found: dict[str, list[EvaluatorRecord]] = {}
        query = sa.select(experiment_evaluators).where(experiment_evaluators.c.experiment_id.in_(ids))
        for row in connection.execute(query.order_by(experiment_evaluators.c.position)):
            positions = None if row.positions is None else tuple(orjson.loads(row.positions))
            known = EvaluatorRecord(row.name, row.kind, row.fingerprint, row.reference, positions)
            found.setdefault(row.experiment_id, []).append(known)
        return found

    def _tags(self, connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        query = sa.select(experiment_tags).where(experiment_tags.c.experiment_id.in_(ids))
        for row in connection.execute(query.order_by(experiment_tags.c.tag)):
            found.setdefault(row.experiment_id, []).append(row.tag)
        return found
