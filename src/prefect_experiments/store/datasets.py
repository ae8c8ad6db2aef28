"""Datasets and their versions in the store."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments import keys
from prefect_experiments.datasets import of_splits
from prefect_experiments.errors import AlreadyExists, InvalidDataset, NotFound, unknown_value
from prefect_experiments.models import Dataset, DatasetInfo, DatasetVersion, Example
from prefect_experiments.pages import Pagination
from prefect_experiments.store.database import Database
from prefect_experiments.store.examples import ExampleRow, fingerprint, to_example, to_rows, to_splits
from prefect_experiments.store.paging import check_name, page
from prefect_experiments.store.patience import all_patient, patient
from prefect_experiments.store.sanitize import nearest_first, object_text, plain_text
from prefect_experiments.store.tables import dataset_versions, datasets, examples
from prefect_experiments.times import to_datetime

_INSERT = examples.insert()
_SHORT = 200  # characters
_AT_ONCE = 200


@all_patient
class DatasetStore:
    """Create, version, read and delete datasets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        content: Sequence[Example],
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> DatasetVersion:
        """A new dataset at version 1.

        Raises:
            AlreadyExists: the name is in use.
            InvalidDataset: an example without an id, or two of the same id.
        """
        check_name(name, "dataset")
        with self._database.write(alone=True) as connection:
            if (found := self._by_name(connection, name)) is not None:
                raise AlreadyExists(
                    f"there is a dataset {name!r} already ({found.id}); choose another name, "
                    "or add to it with add_examples_to_dataset"
                )
            return self._create(connection, name, content, description, metadata)

    def put(self, name: str, content: Sequence[Example], *, description: str | None = None) -> DatasetVersion:
        """The version of the dataset `name` that holds exactly this content.

        A name that is new makes a dataset; content that differs from the newest version makes a
        new version in which examples of an id that any version had keep their place, and others
        come at the end; equal content makes nothing.

        Raises:
            InvalidDataset: an example without an id, or two of the same id.
        """
        check_name(name, "dataset")
        with self._database.write(alone=True) as connection:
            found = self._by_name(connection, name)
            if found is None:
                return self._create(connection, name, content, description, None)
            newest = self._version(connection, found.id, None)
            return self._replace(connection, newest, self._rows(connection, newest), to_rows(content))

    def holds(self, version: DatasetVersion, content: Sequence[Example]) -> bool:
        """Whether a version has just this content, in whatever order."""
        with self._database.read() as connection:
            there = self._rows(connection, self._version(connection, version.dataset_id, version.id))
        return len(there) == len(content) and {row for _, row in there} == set(to_rows(content))

    def update(self, dataset: str, content: Sequence[Example]) -> DatasetVersion:
        """A new version in which these examples, by id, are as given; new ones come at the end.

        Raises:
            InvalidDataset: an example without an id, or two of the same id.
        """
        with self._database.write(alone=True) as connection:
            newest = self._version(connection, self._find(connection, dataset).id, None)
            present = self._rows(connection, newest)
            merged = {row.example_id: row for _, row in present} | {row.example_id: row for row in to_rows(content)}
            return self._replace(connection, newest, present, list(merged.values()))

    def append(self, dataset: str, content: Sequence[Example]) -> DatasetVersion:
        """A new version with further examples at its end; without any, the newest version.

        Raises:
            InvalidDataset: an id that the dataset has already, an example without an id, or two
                of the same id.
        """
        with self._database.write(alone=True) as connection:
            newest = self._version(connection, self._find(connection, dataset).id, None)
            rows = to_rows(content)
            if not rows:
                return _version_model(newest)
            present = self._rows(connection, newest)
            doubles = {row.example_id for _, row in present} & {row.example_id for row in rows}
            if doubles:
                raise InvalidDataset(
                    f"{len(doubles)} of the examples' ids are in the dataset already: "
                    f"{', '.join(sorted(doubles)[:5])}; leave ids out to have them made"
                )
            every = [row for _, row in present] + rows
            version = self._new_version(connection, newest.dataset_id, newest.number + 1, every)
            self._insert(connection, newest.dataset_id, version.number, rows, self._end(connection, newest.dataset_id))
            return version

    def get(self, dataset: str, *, version: str | None = None, splits: Collection[str] | None = None) -> Dataset:
        """A dataset with its examples.

        Args:
            dataset: name or id.
            version: id or number of a version; the newest without.
            splits: only the examples that belong to one of these.

        Raises:
            NotFound: no such dataset or version.
            InvalidDataset: a split that no example belongs to.
        """
        with self._database.read() as connection:
            head = self._find(connection, dataset)
            at = self._version(connection, head.id, version)
            content = [to_example(row) for _, row in self._rows(connection, at)]
        if splits:
            content = of_splits(content, splits, head.name)
        return Dataset(
            name=head.name,
            examples=tuple(content),
            id=head.id,
            version_id=at.id,
            description=head.description,
            metadata=orjson.loads(head.metadata),
            splits=tuple(splits or ()),
            created_at=to_datetime(head.created_at),
        )

    def info(self, dataset: str) -> DatasetInfo:
        """A dataset without its examples; `dataset` is a name or an id."""
        with self._database.read() as connection:
            return self._infos(connection, [self._find(connection, dataset)])[0]

    def page(self, *, limit: int = 50, cursor: str | None = None) -> tuple[list[DatasetInfo], Pagination]:
        """Datasets, newest first."""
        with self._database.read() as connection:
            by = [datasets.c.created_at, datasets.c.id]
            rows, pagination = page(connection, sa.select(datasets), limit, cursor, by=by)
            return self._infos(connection, rows), pagination

    def versions(self, dataset: str) -> Sequence[DatasetVersion]:
        """All versions, newest first."""
        with self._database.read() as connection:
            head = self._find(connection, dataset)
            query = sa.select(dataset_versions).where(dataset_versions.c.dataset_id == head.id)
            return [_version_model(row) for row in connection.execute(query.order_by(dataset_versions.c.number.desc()))]

    def version(self, dataset: str, version: str | None = None) -> DatasetVersion:
        """One version, by id or number; the newest without."""
        with self._database.read() as connection:
            return _version_model(self._version(connection, self._find(connection, dataset).id, version))

    def delete(self, dataset: str) -> None:
        """Delete a dataset with its versions and every experiment on it."""
        with self._database.write(alone=True) as connection:
            connection.execute(datasets.delete().where(datasets.c.id == self._find(connection, dataset).id))

    def positions(self, version: DatasetVersion) -> list[int]:
        """Each example's position, in order."""
        with self._database.read() as connection:
            query = _at(version.dataset_id, version.number, examples.c.position)
            return list(connection.execute(query).scalars().all())

    def outline(self, version: DatasetVersion) -> list[tuple[int, str, tuple[str, ...]]]:
        """Each example's position, id and splits, in order."""
        with self._database.read() as connection:
            query = _at(
                version.dataset_id, version.number, examples.c.position, examples.c.example_id, examples.c.splits
            )
            return [(p, example_id, to_splits(splits)) for p, example_id, splits in connection.execute(query).all()]

    def short_outputs(self, version: DatasetVersion) -> list[tuple[int, str | None]]:
        """The position and the expected output's JSON text of the examples of which that is short, or that have none.

        An empty one, also in an object, is among them. Long ones, which are most of a dataset, are not read.
        """
        c = examples.c
        short = sa.or_(c.output.is_(None), sa.func.length(c.output) <= _SHORT)
        with self._database.read() as connection:
            rows = connection.execute(_at(version.dataset_id, version.number, c.position, c.output).where(short)).all()
        return [(position, output) for position, output in rows]

    def each(self, version: DatasetVersion) -> Iterator[tuple[int, ExampleRow]]:
        """The examples with their positions, in order, read a few at a time."""
        columns = [examples.c[name] for name in ExampleRow._fields]
        query = _at(version.dataset_id, version.number, examples.c.position, *columns).limit(_AT_ONCE)
        after = -1
        while True:
            rows = self._rows_of(query.where(examples.c.position > after))
            for position, *values in rows:
                yield position, ExampleRow(*values)
                after = position
            if len(rows) < _AT_ONCE:
                return

    @patient
    def _rows_of(self, query: Any) -> Sequence[Any]:
        with self._database.read() as connection:
            return connection.execute(query).all()

    def _create(
        self,
        connection: Connection,
        name: str,
        content: Sequence[Example],
        description: str | None,
        metadata: Mapping[str, Any] | None,
    ) -> DatasetVersion:
        rows = to_rows(content)
        dataset_id = keys.new_id("ds")
        connection.execute(
            datasets.insert().values(
                id=dataset_id,
                name=name,
                description=description and plain_text(description),
                metadata=object_text(metadata, "the dataset's metadata"),
                created_at=time.time(),
            )
        )
        version = self._new_version(connection, dataset_id, 1, rows)
        self._insert(connection, dataset_id, 1, rows, 0)
        return version

    def _replace(
        self,
        connection: Connection,
        newest: Any,
        before: list[tuple[int, ExampleRow]],
        rows: list[ExampleRow],
    ) -> DatasetVersion:
        """A version with this content, made where it is not the newest; only what differs is written."""
        if fingerprint(rows) == newest.fingerprint or set(rows) == {row for _, row in before}:
            return _version_model(newest)
        present = {row.example_id: (position, row) for position, row in before}
        number, dataset_id = newest.number + 1, newest.dataset_id
        version = self._new_version(connection, dataset_id, number, rows)
        kept = {row.example_id for row in rows if row.example_id in present and present[row.example_id][1] == row}
        gone = [position for example_id, (position, _) in present.items() if example_id not in kept]
        for chunk in _chunked(gone, 500):
            connection.execute(
                examples.update()
                .where(examples.c.dataset_id == dataset_id, examples.c.position.in_(chunk), examples.c.until.is_(None))
                .values(until=number)
            )
        written = [row for row in rows if row.example_id not in kept]
        places = {example_id: position for example_id, (position, _) in present.items()}
        if any(row.example_id not in places for row in written):
            places = self._former_places(connection, dataset_id) | places
        known = [_values(dataset_id, number, places[r.example_id], r) for r in written if r.example_id in places]
        if known:
            self._database.write_many(connection, _INSERT, known)
        new = [row for row in written if row.example_id not in places]
        self._insert(connection, dataset_id, number, new, self._end(connection, dataset_id))
        return version

    def _former_places(self, connection: Connection, dataset_id: str) -> dict[str, int]:
        """The position of every example that any version had; the last one, where it had several."""
        query = sa.select(examples.c.example_id, examples.c.position).where(examples.c.dataset_id == dataset_id)
        return {row.example_id: row.position for row in connection.execute(query.order_by(examples.c.since))}

    def _new_version(
        self, connection: Connection, dataset_id: str, number: int, rows: Sequence[ExampleRow]
    ) -> DatasetVersion:
        now = time.time()
        values = {
            "id": keys.new_id("dsv"),
            "dataset_id": dataset_id,
            "number": number,
            "example_count": len(rows),
            "fingerprint": fingerprint(rows),
            "created_at": now,
        }
        connection.execute(dataset_versions.insert().values(**values))
        return DatasetVersion(
            id=str(values["id"]),
            dataset_id=dataset_id,
            number=number,
            example_count=len(rows),
            created_at=to_datetime(now),
        )

    def _insert(
        self, connection: Connection, dataset_id: str, number: int, rows: Sequence[ExampleRow], start: int
    ) -> None:
        values = [_values(dataset_id, number, position, row) for position, row in enumerate(rows, start=start)]
        if values:
            self._database.write_many(connection, _INSERT, values)

    def _end(self, connection: Connection, dataset_id: str) -> int:
        """The first position that no version has used."""
        query = sa.select(sa.func.max(examples.c.position)).where(examples.c.dataset_id == dataset_id)
        highest = connection.execute(query).scalar()
        return 0 if highest is None else int(highest) + 1

    def _by_name(self, connection: Connection, name: str) -> Any:
        return connection.execute(sa.select(datasets).where(datasets.c.name == name)).one_or_none()

    def _find(self, connection: Connection, dataset: str) -> Any:
        query = sa.select(datasets).where((datasets.c.id == dataset) | (datasets.c.name == dataset))
        rows = connection.execute(query).all()
        for row in rows:
            if row.id == dataset:
                return row
        if rows:
            return rows[0]
        names = connection.execute(sa.select(datasets.c.name).limit(1000)).scalars()
        raise NotFound(unknown_value("dataset", dataset, nearest_first(dataset, names)))

    def _version(self, connection: Connection, dataset_id: str, version: str | None) -> Any:
        query = sa.select(dataset_versions).where(dataset_versions.c.dataset_id == dataset_id)
        query = query.order_by(dataset_versions.c.number.desc())
        if version is None:
            return connection.execute(query.limit(1)).one()
        rows = connection.execute(query).all()
        for row in rows:
            if str(version) in (row.id, str(row.number)):
                return row
        raise NotFound(unknown_value("dataset version", version, [f"{row.number} ({row.id})" for row in rows[:10]]))

    def _rows(self, connection: Connection, version: Any) -> list[tuple[int, ExampleRow]]:
        columns = [examples.c[name] for name in ExampleRow._fields]
        query = _at(version.dataset_id, version.number, examples.c.position, *columns)
        return [(position, ExampleRow(*values)) for position, *values in connection.execute(query).all()]

    def _infos(self, connection: Connection, rows: Sequence[Any]) -> list[DatasetInfo]:
        c = dataset_versions.c
        ids = [row.id for row in rows]
        highest = sa.select(c.dataset_id, sa.func.max(c.number)).where(c.dataset_id.in_(ids)).group_by(c.dataset_id)
        query = sa.select(dataset_versions).where(sa.tuple_(c.dataset_id, c.number).in_(highest))
        newest = {version.dataset_id: version for version in connection.execute(query).all()}
        return [_info_model(row, newest[row.id]) for row in rows]


def _info_model(row: Any, newest: Any) -> DatasetInfo:
    return DatasetInfo(
        id=row.id,
        name=row.name,
        version_id=newest.id,
        version_count=newest.number,
        example_count=newest.example_count,
        description=row.description,
        metadata=orjson.loads(row.metadata),
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(newest.created_at),
    )


def at_version(dataset_id: Any, number: Any) -> sa.ColumnElement[bool]:
    """The condition that an example's row belongs to a version."""
    return sa.and_(
        examples.c.dataset_id == dataset_id,
        examples.c.since <= number,
        sa.or_(examples.c.until.is_(None), examples.c.until > number),
    )


def _at(dataset_id: str, number: int, *columns: Any) -> Any:
    return sa.select(*columns).where(at_version(dataset_id, number)).order_by(examples.c.position)


def _values(dataset_id: str, number: int, position: int, row: ExampleRow) -> tuple[Any, ...]:
    """The columns of `examples`, in order."""
    return (dataset_id, position, number, None, *row)


def _version_model(row: Any) -> DatasetVersion:
    return DatasetVersion(
        id=row.id,
        dataset_id=row.dataset_id,
        number=row.number,
        example_count=row.example_count,
        created_at=to_datetime(row.created_at),
    )


def _chunked(items: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
