"""Looking after a store: how large it is, whether it is whole, and a copy of it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.errors import AlreadyExists, InvalidSetting
from prefect_experiments.files import replaceable
from prefect_experiments.store.database import Database
from prefect_experiments.store.sqlite_file import LEFT_BESIDE, check_usable, copy_to
from prefect_experiments.store.tables import (
    dataset_versions,
    datasets,
    evaluations,
    examples,
    experiment_runs,
    experiments,
    judgements,
    metadata,
    run_annotations,
)

_AT_ONCE = 1000
# What is JSON, and is read by whoever opens it.
_JSON = {
    datasets: ("metadata",),
    examples: ("input", "output", "metadata", "splits"),
    experiments: ("metadata", "splits", "positions"),
    experiment_runs: ("output", "metadata"),
    evaluations: ("metadata",),
    judgements: ("reasons", "checks", "moved"),
}
_COUNTED = {
    "datasets": datasets,
    "dataset_versions": dataset_versions,
    "examples": examples,
    "experiments": experiments,
    "runs": experiment_runs,
    "evaluations": evaluations,
    "annotations": run_annotations,
}


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store is, and how much is in it.

    Attributes:
        url: where it is, without its password.
        database: which program keeps it, and in what version.
        version: of the schema; empty where there is none yet.
        bytes: how large it is.
        waiting_bytes: of those, what is still in the write-ahead log beside an SQLite file.
        counts: how many there are of what.
    """

    url: str
    database: str
    version: str
    bytes: int
    waiting_bytes: int
    counts: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As a mapping."""
        return asdict(self)


class Upkeep:
    """Info, check and backup."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def info(self) -> StoreInfo:
        """What the store is, and how much is in it."""
        database = self._database
        version = database.version() or ""
        with database.read() as connection:
            there = sa.inspect(connection).get_table_names()
            counts = {
                name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for name, table in _COUNTED.items()
                if table.name in there
            }
            if database.is_sqlite:
                program = f"SQLite {sqlite3.sqlite_version}"
                size = connection.exec_driver_sql("SELECT * FROM pragma_page_count, pragma_page_size").one()
                size = size[0] * size[1]
            else:
                program = f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar_one()}"
                size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        waiting = 0
        with contextlib.suppress(OSError):
            file = os.path.realpath(str(database.url.database))
            waiting = Path(f"{file}-wal").stat().st_size if database.is_sqlite else 0
        return StoreInfo(database.shown_url, program, version, size, waiting, counts)

    def check_writable(self) -> None:
        """Make sure, without writing, that the store may be written to.

        Raises:
            InvalidSetting: it may not.
        """
        if self._database.is_sqlite:
            check_usable(Path(str(self._database.url.database)))
            return
        with self._database.read() as connection:
            usual = "current_setting('default_transaction_read_only') = 'on'"
            table = f"to_regclass('{experiment_runs.name}')"  # null where it is still to be made
            may = f"coalesce(has_table_privilege({table}, 'INSERT'), has_schema_privilege(current_schema(), 'CREATE'))"
            is_allowed, is_standby = connection.exec_driver_sql(f"SELECT {may}, pg_is_in_recovery() OR {usual}").one()
        if not is_allowed or is_standby:
            why = "the server takes no writes (a standby, say)" if is_standby else "this user may only read it"
            raise InvalidSetting(f"the store at {self._database.shown_url} cannot be written to: {why}")

    def faults(self) -> list[str]:
        """What is wrong with the store, read from its first row to its last; empty where nothing is."""
        with self._database.read() as connection:
            missing = _missing(connection)
            return missing or [*_orphans(connection), *_unreadable(connection)]

    def backup(self, target: Path, *, overwrite: bool = False) -> Path:
        """Copy the store into an SQLite file, as it is at one moment; others may go on writing to it.

        The copy is a store itself: ``sqlite:///`` and its path is its URL.

        Args:
            target: the file, or a folder that gets one named after the time.
            overwrite: whether a file that is there is replaced.

        Raises:
            AlreadyExists: there is such a file.
            InvalidSetting: it cannot be written.
        """
        if target.is_dir():
            target = target / time.strftime("experiments-%Y%m%d-%H%M%S.db")
        target = replaceable(target.absolute())
        try:
            if self._database.is_sqlite and target.exists() and target.samefile(str(self._database.url.database)):
                raise InvalidSetting(f"{target} is the store itself; name another file")
            if target.exists() and not overwrite:
                raise AlreadyExists(f"there is a file {target} already; name another one, or pass --overwrite")
            target.parent.mkdir(parents=True, exist_ok=True)
            if self._database.is_sqlite:
                self._database.look()
                with self._database.driver_connection() as connection:
                    copy_to(connection, target)
            else:
                self._copy_rows(target)
        except OSError as error:
            raise InvalidSetting(f"the backup cannot be written to {target}: {error.strerror}") from None
        return target

    def _copy_rows(self, target: Path) -> None:
        part = target.with_name(f".{target.name}.{os.getpid()}.rows")
        copy = None
        try:
            copy = Database(f"sqlite:///{part}")
            with self._database.read() as source, copy.write() as into:
                for table in metadata.sorted_tables:
                    for rows in _in_parts(source, sa.select(table)):
                        copy.write_many(into, table.insert(), [tuple(row) for row in rows])
            with copy.driver_connection() as connection:
                copy_to(connection, target)
        finally:
            if copy is not None:
                copy.dispose()
            for left in (part, *(part.with_name(f"{part.name}{end}") for end in LEFT_BESIDE)):
                left.unlink(missing_ok=True)


def faults_of_file(path: Path) -> list[str]:
    """What SQLite finds wrong with a file that may be damaged; nothing is written."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.Error as error:
        return [str(error)]
    return [line for text in found for line in text.splitlines() if text != "ok"]


def _in_parts(connection: Connection, query: sa.Select[Any]) -> Iterator[Sequence[sa.Row[Any]]]:
    with connection.execution_options(yield_per=_AT_ONCE).execute(query) as result:
        yield from result.partitions()


def _missing(connection: Connection) -> list[str]:
    """Tables and columns that are not there."""
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    missing = [f"there is no table {name}" for name in metadata.tables if name not in tables]
    for name in metadata.tables.keys() & tables:
        there = {column["name"] for column in inspector.get_columns(name)}
        lacking = sorted(set(metadata.tables[name].columns.keys()) - there)
        missing += [f"the table {name} has no column {column}" for column in lacking]
    return missing


def _orphans(connection: Connection) -> Iterator[str]:
    """Rows whose parent is not there."""
    for table in metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            parent = key.referred_table.alias()
            same = [element.parent == parent.c[element.column.name] for element in key.elements]
            lost = sa.select(sa.func.count()).select_from(table).where(~sa.exists(sa.select(1).where(*same)))
            if count := connection.execute(lost).scalar_one():
                yield f"{count} rows of {table.name} belong to no row of {key.referred_table.name}"


def _unreadable(connection: Connection) -> Iterator[str]:
    """Values that are no JSON where JSON is kept."""
    for table, names in _JSON.items():
        broken = dict.fromkeys(names, 0)
        for rows in _in_parts(connection, sa.select(*(table.c[name] for name in names))):
            for row in rows:
                for name, text in zip(names, row, strict=True):
                    broken[name] += not _is_json(text)
        yield from (f"{n} values of {table.name}.{name} are not JSON" for name, n in broken.items() if n)


def _is_json(text: str | None) -> bool:
    try:
        return text is None or orjson.loads(text) is not orjson
    except orjson.JSONDecodeError:
        return False
