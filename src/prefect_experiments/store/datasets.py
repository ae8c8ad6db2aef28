"""Datasets and their versions in the store."""

from __future__ import annotations

import time
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments import keys
from prefect_experiments.datasets import of_splits
from prefect_experiments.datasets.kept_rows import AT_ONCE, HELD, LongList, sliced
from prefect_experiments.errors import AlreadyExists, NotFound, unknown_value
from prefect_experiments.models import Dataset, DatasetInfo, DatasetVersion, Example
from prefect_experiments.pages import Pagination
from prefect_experiments.store.database import Database
from prefect_experiments.store.differences import Difference
from prefect_experiments.store.examples import ExampleRow, fingerprint, to_example, to_rows, to_splits
from prefect_experiments.store.paging import check_name, page
from prefect_experiments.store.patience import all_patient, patient
from prefect_experiments.store.sanitize import MOST_NAMES, nearest_first, object_text
from prefect_experiments.store.tables import dataset_versions, datasets, examples
from prefect_experiments.store.versions import VersionWriter, at, at_version, slices_of_version, to_version
from prefect_experiments.texts import plain_text
from prefect_experiments.times import to_datetime

__all__ = ["DatasetStore", "StoredExamples", "at_version"]

_SHORT = 200  # characters


@all_patient
class DatasetStore:
    """Create, version, read and delete datasets."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions = VersionWriter(database)

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
            return self._versions.replace(connection, self._version(connection, found.id, None), content, whole=True)

    def holds(self, version: DatasetVersion, content: Sequence[Example]) -> bool:
        """Whether a version has just this content, in whatever order."""
        if version.example_count != len(content):
            return False
        with self._database.read() as connection:
            there = self._version(connection, version.dataset_id, version.id)
        if fingerprint(to_rows(content)) == there.fingerprint:
            return True
        difference = Difference(to_rows(content))
        for some in sliced(self.each(version)):
            difference.compare(some, whole=True)
        return difference.same == version.example_count == difference.given

    def update(self, dataset: str, content: Sequence[Example]) -> DatasetVersion:
        """A new version in which these examples, by id, are as given; new ones come at the end.

        Raises:
            InvalidDataset: an example without an id, or two of the same id.
        """
        with self._database.write(alone=True) as connection:
            newest = self._version(connection, self._find(connection, dataset).id, None)
            return self._versions.replace(connection, newest, content, whole=False)

    def append(self, dataset: str, content: Sequence[Example]) -> DatasetVersion:
        """A new version with further examples at its end; without any, the newest version.

        Raises:
            InvalidDataset: an id that the dataset has already, an example without an id, or two
                of the same id.
        """
        with self._database.write(alone=True) as connection:
            newest = self._version(connection, self._find(connection, dataset).id, None)
            return self._versions.append(connection, newest, content)

    def get(self, dataset: str, *, version: str | None = None, splits: Collection[str] | None = None) -> Dataset:
        """A dataset with its examples; more than 10,000 are read from here whenever they are looked at.

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
            found = self._version(connection, head.id, version)
            content: Sequence[Example] = StoredExamples(self, to_version(found))
            if found.example_count <= HELD:
                content = tuple(to_example(row) for some in slices_of_version(connection, found) for _, row in some)
        if splits:
            content = of_splits(content, splits, head.name)
        return Dataset(
            name=head.name,
            examples=content if isinstance(content, LongList) else tuple(content),
            id=head.id,
            version_id=found.id,
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
            return [to_version(row) for row in connection.execute(query.order_by(dataset_versions.c.number.desc()))]

    def version(self, dataset: str, version: str | None = None) -> DatasetVersion:
        """One version, by id or number; the newest without."""
        with self._database.read() as connection:
            return to_version(self._version(connection, self._find(connection, dataset).id, version))

    def delete(self, dataset: str) -> None:
        """Delete a dataset with its versions and every experiment on it."""
        with self._database.write(alone=True) as connection:
            connection.execute(datasets.delete().where(datasets.c.id == self._find(connection, dataset).id))

    def positions(self, version: DatasetVersion) -> Sequence[int]:
        """Each example's position, in order; a `range` where none is left out between them."""
        c = examples.c
        there = at_version(version.dataset_id, version.number)
        with self._database.read() as connection:
            query = sa.select(sa.func.min(c.position), sa.func.max(c.position), sa.func.count()).where(there)
            first, last, count = connection.execute(query).one()
            if count == 0 or last - first + 1 == count:
                return range(first or 0, (first or 0) + count)
            query = sa.select(c.position).where(there).order_by(c.position)
            return array("q", connection.execution_options(stream_results=True).execute(query).scalars())

    def outline(self, version: DatasetVersion) -> list[tuple[int, str, tuple[str, ...]]]:
        """Each example's position, id and splits, in order."""
        return list(self.each_place(version))

    def each_place(self, version: DatasetVersion) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """The same, read a few at a time."""
        columns = [examples.c[name] for name in ("position", "example_id", "splits")]
        for position, example_id, splits in self._paged(version, columns, AT_ONCE):
            yield position, example_id, to_splits(splits)

    def each_fact(self, version: DatasetVersion) -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
        """Each example's position, id, metadata as JSON, and splits, in order, read a few at a time."""
        columns = [examples.c[name] for name in ("position", "example_id", "metadata", "splits")]
        for position, example_id, metadata, splits in self._paged(version, columns, AT_ONCE):
            yield position, example_id, metadata, to_splits(splits)

    def short_outputs(self, version: DatasetVersion) -> list[tuple[int, str | None]]:
        """The position and the expected output's JSON text of the examples of which that is short, or that have none.

        An empty one, also in an object, is among them. Long ones, which are most of a dataset, are not read.
        """
        c = examples.c
        short = sa.or_(c.output.is_(None), sa.func.length(c.output) <= _SHORT)
        with self._database.read() as connection:
            rows = connection.execute(at(version.dataset_id, version.number, c.position, c.output).where(short)).all()
        return [(position, output) for position, output in rows]

    def each(self, version: DatasetVersion) -> Iterator[tuple[int, ExampleRow]]:
        """The examples with their positions, in order, read a few at a time."""
        columns = [examples.c[name] for name in ("position", *ExampleRow._fields)]
        for position, *values in self._paged(version, columns, AT_ONCE):
            yield position, ExampleRow(*values)

    def rows_at(self, version: DatasetVersion, positions: Sequence[int]) -> Iterator[ExampleRow]:
        """The examples at some positions, which ascend, read a few at a time."""
        columns = [examples.c[name] for name in ExampleRow._fields]
        for some in sliced(positions, AT_ONCE):
            query = at(version.dataset_id, version.number, *columns).where(examples.c.position.in_(some))
            yield from (ExampleRow(*values) for values in self._rows_of(query))

    def _paged(self, version: DatasetVersion, columns: Sequence[Any], at_once: int) -> Iterator[Any]:
        """Columns of the examples, of which the first is the position."""
        query = at(version.dataset_id, version.number, *columns).limit(at_once)
        after = -1
        while True:
            rows = self._rows_of(query.where(examples.c.position > after))
            yield from rows
            if len(rows) < at_once:
                return
            after = rows[-1].position

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
        return self._versions.first(connection, dataset_id, content)

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
        names = connection.execute(sa.select(datasets.c.name).limit(MOST_NAMES)).scalars()
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


class StoredExamples(LongList):
    """The examples of a version, read from the store as they are looked at."""

    def __init__(self, store: DatasetStore, version: DatasetVersion) -> None:
        self._store = store
        self._version = version
        self._positions: Sequence[int] | None = None

    def __len__(self) -> int:
        return self._version.example_count

    def rows(self) -> Iterator[ExampleRow]:
        """See `LongList`."""
        return self._all_there((row for _, row in self._store.each(self._version)), len(self))

    def rows_at(self, places: Sequence[int]) -> Iterator[ExampleRow]:
        """See `LongList`."""
        if self._positions is None:
            self._positions = self._store.positions(self._version)
        try:
            positions = array("q", (self._positions[place] for place in places))
        except IndexError:
            raise self._gone() from None
        return self._all_there(self._store.rows_at(self._version, positions), len(places))

    def _all_there(self, rows: Iterable[ExampleRow], count: int) -> Iterator[ExampleRow]:
        found = 0
        for row in rows:
            found += 1
            yield row
        if found < count:
            raise self._gone()

    def _gone(self) -> NotFound:
        return NotFound(f"the dataset {self._version.dataset_id} is no longer in the store: its examples were deleted")
