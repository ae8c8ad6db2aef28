"""Rows of a source on their way to a dataset: they wait in a file of their own until all of them are known to do.

It is an SQLite database without a name, which SQLite keeps in the folder for temporary files, if it does not fit into
a few megabytes, and deletes by itself, however the process ends.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from prefect_experiments import keys
from prefect_experiments.datasets.kept_rows import AT_ONCE, ExampleRow, LongList, sliced
from prefect_experiments.errors import InvalidSetting

_CACHE_KB = 16_000
_TABLES = """
CREATE TABLE rows (
    place INTEGER PRIMARY KEY, example_id TEXT, input TEXT, output TEXT, metadata TEXT, splits TEXT, span_id TEXT,
    number INTEGER, is_made INTEGER
);
CREATE TABLE in_use (example_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE ids (place INTEGER PRIMARY KEY, example_id TEXT);
"""
_ROW = "example_id, input, output, metadata, splits, span_id"


class Scratch:
    """A database of this process alone, in which more can be put down than is to be held in memory.

    Raises:
        InvalidSetting: there is no room for it.
    """

    def __init__(self, tables: str) -> None:
        self._lock = threading.RLock()
        with self._named_errors():
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._db.close)
            self._db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA cache_size=-{_CACHE_KB}; {tables} BEGIN;")

    def write(self, sql: str, rows: Iterable[Sequence[Any]] = ((),)) -> None:
        """Execute a statement for each row."""
        with self._named_errors(), self._lock:
            self._db.executemany(sql, rows)

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All that a query gives."""
        with self._named_errors(), self._lock:
            return self._db.execute(sql, values).fetchall()

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """What a query gives, one by one. Nothing that it reads may be written meanwhile."""
        with self._named_errors(), self._lock:
            cursor = self._db.execute(sql, values)
        while True:
            with self._named_errors(), self._lock:
                some = cursor.fetchmany(AT_ONCE)
            if not some:
                return
            yield from some

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise InvalidSetting(
                f"there is no room for the rows of a dataset in the folder for temporary files ({error}). Make some, "
                "or name another folder in SQLITE_TMPDIR or TMPDIR"
            ) from None


class Numbered(NamedTuple):
    """A row on its way: its number in the source, and whether its id is made of its content."""

    row: ExampleRow
    number: int
    is_made: bool


class Double(NamedTuple):
    """An id that is given more than once, or in use, with the numbers of its first row and of this one."""

    example_id: str
    first: int
    number: int


class Spool(LongList):
    """The examples that rows make, once `settle` has been called."""

    def __init__(self) -> None:
        self._scratch = Scratch(_TABLES)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Sequence[Numbered]) -> None:
        """Add rows at the end."""
        values = [(*row, number, is_made) for row, number, is_made in rows]
        self._scratch.write(f"INSERT INTO rows ({_ROW}, number, is_made) VALUES (?,?,?,?,?,?,?,?)", values)  # noqa: S608
        self._count += len(values)

    def reserve(self, ids: Iterable[str]) -> None:
        """Ids that no row may have."""
        self._scratch.write("INSERT OR IGNORE INTO in_use VALUES (?)", ((example_id,) for example_id in ids))

    def settle(self) -> None:
        """Nothing more is added: look up ids, and tell the made ones apart from others."""
        self._scratch.write("CREATE INDEX by_id ON rows (example_id)")

    def doubles(self) -> Iterator[Double]:
        """The rows, in order, whose given id an earlier one has."""
        return map(
            Double._make,
            self._scratch.each(
                "SELECT r.example_id, f.number, r.number FROM rows r "
                "JOIN (SELECT example_id, min(place) AS first FROM rows WHERE NOT is_made "
                "GROUP BY example_id HAVING count(*) > 1) d ON r.example_id = d.example_id "
                "JOIN rows f ON f.place = d.first WHERE NOT r.is_made AND r.place > d.first ORDER BY r.place"
            ),
        )

    def taken(self) -> Iterator[Double]:
        """The rows, in order, whose given id is reserved."""
        query = (
            "SELECT example_id, number, number FROM rows WHERE NOT is_made "
            "AND example_id IN (SELECT example_id FROM in_use) ORDER BY place"
        )
        return map(Double._make, self._scratch.each(query))

    def tell_apart(self) -> None:
        """Give each of the rows whose made ids are alike, or taken, an id of its own.

        Rows of one content are numbered in an order that their metadata makes: they are in memory together.
        """
        alike = self._scratch.each(
            f"SELECT place, {_ROW} FROM rows WHERE is_made AND (example_id IN "  # noqa: S608
            "(SELECT example_id FROM rows GROUP BY example_id HAVING count(*) > 1) "
            "OR example_id IN (SELECT example_id FROM in_use)) ORDER BY example_id, place"
        )
        for base, group in groupby(alike, key=lambda found: found[1]):
            ordered = sorted((_order(ExampleRow(*row)), place) for place, *row in group)
            self._scratch.write("INSERT INTO ids VALUES (?, ?)", self._numbered(base, [place for _, place in ordered]))
        if self._scratch.read("SELECT 1 FROM ids LIMIT 1"):
            self._scratch.write(
                "UPDATE rows SET example_id = (SELECT i.example_id FROM ids i WHERE i.place = rows.place) "
                "WHERE place IN (SELECT place FROM ids)"
            )

    def _numbered(self, base: str, places: Sequence[int]) -> list[tuple[int, str]]:
        """The places with `base`, `base`-2, `base`-3, ... of which those are left out that are taken."""
        found, number = [], 0
        for place in places:
            number += 1
            while self._is_taken(candidate := base if number == 1 else f"{base}-{number}"):
                number += 1
            found.append((place, candidate))
        return found

    def _is_taken(self, example_id: str) -> bool:
        query = (
            "SELECT 1 FROM rows WHERE example_id = ?1 AND NOT is_made "
            "UNION ALL SELECT 1 FROM in_use WHERE example_id = ?1 LIMIT 1"
        )
        return bool(self._scratch.read(query, (example_id,)))

    def rows(self) -> Iterator[ExampleRow]:
        """See `LongList`."""
        after = 0
        while some := self._scratch.read(
            f"SELECT place, {_ROW} FROM rows WHERE place > ? ORDER BY place LIMIT {AT_ONCE}",  # noqa: S608
            (after,),
        ):
            yield from (ExampleRow(*row) for _, *row in some)
            after = some[-1][0]

    def rows_at(self, places: Sequence[int]) -> Iterator[ExampleRow]:
        """See `LongList`."""
        for some in sliced(places, AT_ONCE // 2):
            marks = ",".join("?" * len(some))
            query = f"SELECT {_ROW} FROM rows WHERE place IN ({marks}) ORDER BY place"  # noqa: S608
            yield from (ExampleRow(*row) for row in self._scratch.read(query, [place + 1 for place in some]))


def _order(row: ExampleRow) -> tuple[Any, ...]:
    """What tells a row from others of one content."""
    value, metadata = orjson.loads(row.input), orjson.loads(row.metadata)
    output = None if row.output is None else orjson.loads(row.output)
    typed = keys.canonical_json([value, output, metadata])
    return keys.metadata_order(metadata), sorted(orjson.loads(row.splits)), row.span_id or "", typed
