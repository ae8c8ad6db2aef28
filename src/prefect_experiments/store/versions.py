"""The versions of a dataset: what is written when one is made. Nothing is held in memory but some rows at once."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments import keys
from prefect_experiments.datasets.kept_rows import AT_ONCE, chosen, rows_of, sliced
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import DatasetVersion, Example
from prefect_experiments.store.database import Database
from prefect_experiments.store.differences import Difference, Found
from prefect_experiments.store.examples import ExampleRow, Fingerprint, to_rows
from prefect_experiments.store.tables import dataset_versions, examples
from prefect_experiments.times import to_datetime

_INSERT = examples.insert()


class VersionWriter:
    """Makes versions, each within a transaction of the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def first(self, connection: Connection, dataset_id: str, content: Sequence[Example]) -> DatasetVersion:
        """The first version of a dataset.

        Raises:
            InvalidDataset: an example without an id, or two of the same id.
        """
        made = Fingerprint()
        self._insert(connection, dataset_id, 1, made.over(to_rows(content)), 0)
        return self._new_version(connection, dataset_id, 1, made)

    def append(self, connection: Connection, newest: Any, content: Sequence[Example]) -> DatasetVersion:
        """A version with further examples at its end; without any, the newest version.

        Raises:
            InvalidDataset: an id that the dataset has already, an example without an id, or two
                of the same id.
        """
        difference = Difference(to_rows(content))
        if not difference.given:
            return to_version(newest)
        made = Fingerprint()
        for some in slices_of_version(connection, newest):
            difference.compare(some, whole=False)
            for _, row in some:
                made.add(row)
        count, doubles = difference.doubles()
        if count:
            raise InvalidDataset(
                f"{count} of the examples' ids are in the dataset already: "
                f"{', '.join(doubles)}; leave ids out to have them made"
            )
        number, dataset_id = newest.number + 1, newest.dataset_id
        self._insert(connection, dataset_id, number, made.over(to_rows(content)), self._end(connection, dataset_id))
        return self._new_version(connection, dataset_id, number, made)

    def replace(
        self, connection: Connection, newest: Any, content: Sequence[Example], *, whole: bool
    ) -> DatasetVersion:
        """A version with this content, made where it is not the newest; only what differs is written.

        Args:
            connection: of the transaction.
            newest: the newest version.
            content: what it is to have.
            whole: whether that is all; else it goes on top of what is there.
        """
        made = Fingerprint()
        difference = Difference(made.over(to_rows(content)))
        if whole and made.text() == newest.fingerprint:
            return to_version(newest)
        merged, there = Fingerprint(), 0
        for some in slices_of_version(connection, newest):
            found = difference.compare(some, whole=whole)
            there += len(some)
            if not whole:
                for row in _merged([row for _, row in some], found, content):
                    merged.add(row)
        if difference.same == difference.given and (not whole or difference.given == there):
            return to_version(newest)
        return self._write(connection, newest, difference, content, made if whole else merged, whole=whole)

    def _write(
        self,
        connection: Connection,
        newest: Any,
        difference: Difference,
        content: Sequence[Example],
        made: Fingerprint,
        *,
        whole: bool,
    ) -> DatasetVersion:
        """The version after the newest, with what differs in it."""
        number, dataset_id = newest.number + 1, newest.dataset_id
        for some in difference.gone():
            gone = sa.and_(examples.c.position.in_(some), examples.c.until.is_(None))
            connection.execute(examples.update().where(examples.c.dataset_id == dataset_id, gone).values(until=number))
        if difference.has_new:
            difference.remember(self._former_places(connection, dataset_id))
        end = itertools.count(self._end(connection, dataset_id))

        def changed() -> Iterator[tuple[Any, ...]]:
            for row, (position, is_there, is_new) in zip(to_rows(content), difference.given_places(), strict=True):
                if is_new and not whole:
                    made.add(row)
                if not is_there:
                    yield _values(dataset_id, number, next(end) if position is None else position, row)

        self._put(connection, changed())
        return self._new_version(connection, dataset_id, number, made)

    def _former_places(self, connection: Connection, dataset_id: str) -> Iterator[tuple[str, int]]:
        """The id and position of every example that any version had, from the first version on."""
        c = examples.c
        key = sa.tuple_(c.since, c.position)
        query = sa.select(c.example_id, c.position, c.since).where(c.dataset_id == dataset_id)
        query = query.order_by(c.since, c.position).limit(AT_ONCE)
        after = (-1, -1)
        while some := connection.execute(query.where(key > sa.tuple_(*after))).all():
            yield from ((row.example_id, row.position) for row in some)
            after = (some[-1].since, some[-1].position)

    def _new_version(self, connection: Connection, dataset_id: str, number: int, made: Fingerprint) -> DatasetVersion:
        now = time.time()
        values = {
            "id": keys.new_id("dsv"),
            "dataset_id": dataset_id,
            "number": number,
            "example_count": made.count,
            "fingerprint": made.text(),
            "created_at": now,
        }
        connection.execute(dataset_versions.insert().values(**values))
        return DatasetVersion(
            id=str(values["id"]),
            dataset_id=dataset_id,
            number=number,
            example_count=made.count,
            created_at=to_datetime(now),
        )

    def _insert(
        self, connection: Connection, dataset_id: str, number: int, rows: Iterable[ExampleRow], start: int
    ) -> None:
        self._put(connection, (_values(dataset_id, number, at, row) for at, row in enumerate(rows, start=start)))

    def _put(self, connection: Connection, values: Iterable[tuple[Any, ...]]) -> None:
        for some in sliced(values):
            self._database.write_many(connection, _INSERT, some)

    def _end(self, connection: Connection, dataset_id: str) -> int:
        """The first position that no version has used."""
        query = sa.select(sa.func.max(examples.c.position)).where(examples.c.dataset_id == dataset_id)
        highest = connection.execute(query).scalar()
        return 0 if highest is None else int(highest) + 1


def slices_of_version(connection: Connection, version: Any) -> Iterator[list[tuple[int, ExampleRow]]]:
    """The examples of a version with their positions, in order, some at once."""
    columns = [examples.c[name] for name in ExampleRow._fields]
    query = at(version.dataset_id, version.number, examples.c.position, *columns).limit(AT_ONCE)
    after = -1
    while some := connection.execute(query.where(examples.c.position > after)).all():
        yield [(position, ExampleRow(*values)) for position, *values in some]
        after = some[-1].position


def at_version(dataset_id: Any, number: Any) -> sa.ColumnElement[bool]:
    """The condition that an example's row belongs to a version."""
    return sa.and_(
        examples.c.dataset_id == dataset_id,
        examples.c.since <= number,
        sa.or_(examples.c.until.is_(None), examples.c.until > number),
    )


def at(dataset_id: str, number: int, *columns: Any) -> Any:
    """The query for columns of a version's examples, in order."""
    return sa.select(*columns).where(at_version(dataset_id, number)).order_by(examples.c.position)


def _values(dataset_id: str, number: int, position: int, row: ExampleRow) -> tuple[Any, ...]:
    """The columns of `examples`, in order."""
    return (dataset_id, position, number, None, *row)


def to_version(row: Any) -> DatasetVersion:
    """A version from its row."""
    return DatasetVersion(
        id=row.id,
        dataset_id=row.dataset_id,
        number=row.number,
        example_count=row.example_count,
        created_at=to_datetime(row.created_at),
    )


def _merged(rows: Sequence[ExampleRow], found: Mapping[str, Found], content: Sequence[Example]) -> Iterator[ExampleRow]:
    """The rows, and in the place of those that others are given for, these."""
    places = sorted(there.place for there in found.values() if not there.is_same)
    given = {row.example_id: row for row in rows_of(chosen(content, places))} if places else {}
    return (given.get(row.example_id, row) for row in rows)
