"""The connection to the database: SQLite or PostgreSQL, opened, migrated, and its errors named."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import StaticPool

from prefect_experiments.errors import InvalidSetting, StoreUnavailable

BUSY_TIMEOUT_S = 30
HEAD = "0001"
_MIGRATION_LOCK = 0x9E8F_EC7E  # any number that is ours: PostgreSQL's advisory lock for migrations


class Database:
    """One database, shared by the threads of a process.

    Args:
        url: an SQLAlchemy URL, ``sqlite:///path`` or ``postgresql://...``; ``sqlite://`` alone is
            a private database in memory, which is what a dry run uses.

    Raises:
        InvalidSetting: the URL cannot be used.
        StoreUnavailable: the database does not answer.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.in_memory = self.is_sqlite and self.url.database in (None, "", ":memory:")
        # An in-memory database is one connection, so its transactions take turns.
        self._turns: Any = threading.RLock() if self.in_memory else contextlib.nullcontext()
        self._sql: dict[Any, str] = {}
        self.engine = self._connect()
        with self.named_errors():
            self._migrate()

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction for reading."""
        with self.named_errors(), self._turns, self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *, sync: bool = True) -> Iterator[Connection]:
        """A transaction for writing: SQLite's write lock is taken at once, not half-way through.

        Args:
            sync: wait at the end until the disk has it. Without, a power cut can undo the
                transaction, a kill of the process cannot. (PostgreSQL always waits.)
        """
        with (
            self.named_errors(),
            self._turns,
            self.engine.connect().execution_options(immediate=True, sync=sync) as connection,
            connection.begin(),
        ):
            yield connection

    def upsert(self, table: sa.Table, *, where: Any = None, keep: tuple[str, ...] = ()) -> Any:
        """An insert that replaces the row of the same primary key.

        Args:
            table: where to.
            where: replace only rows for which this holds.
            keep: columns that stay as they were first written.
        """
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        statement = insert(table)
        key = [column.name for column in table.primary_key]
        changed = {
            column.name: statement.excluded[column.name]
            for column in table.columns
            if column.name not in key and column.name not in keep
        }
        return statement.on_conflict_do_update(index_elements=key, set_=changed, where=where)

    def write_many(self, connection: Connection, statement: Any, rows: list[tuple[Any, ...]]) -> None:
        """Execute an insert or upsert for each row, handing the rows to the driver as they are.

        A row has the values of all columns in the table's order.

        SQLAlchemy would look at each value of each row first; what is written here needs none of
        its conversions, and there are three rows and more for each example.
        """
        sql = self._sql.get(statement)
        if sql is None:
            dialect = sqlite.dialect() if self.is_sqlite else postgresql.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
            sql = self._sql[statement] = str(statement.compile(dialect=dialect))
        connection.exec_driver_sql(sql, rows)

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextlib.contextmanager
    def named_errors(self) -> Iterator[None]:
        """Turn the driver's errors into ours; neither statements nor values get into the text."""
        try:
            yield
        except OperationalError as error:
            raise StoreUnavailable(
                f"the store at {self.shown_url} does not answer: {_first_line(error)}. "
                "Is the database running, the path writable, the disk not full? Finished work is kept; try again."
            ) from None

    def _connect(self) -> Engine:
        if not self.is_sqlite:
            return sa.create_engine(self.url, pool_pre_ping=True, hide_parameters=True)
        arguments: dict[str, Any] = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
        if self.in_memory:
            engine = sa.create_engine("sqlite://", connect_args=arguments, poolclass=StaticPool, hide_parameters=True)
        else:
            _make_folder(str(self.url.database))
            engine = sa.create_engine(self.url, connect_args=arguments, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _migrate(self) -> None:
        """Bring the schema to this version's, once, whoever comes first."""
        with self._turns:
            if self._version() == HEAD:
                return
            from prefect_experiments.store.migrations import upgrade  # Alembic costs 0.4 s to import

            with self.engine.connect().execution_options(immediate=True) as connection, connection.begin():
                if not self.is_sqlite:
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
                upgrade(connection)

    def _version(self) -> str | None:
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _parse(url: str) -> sa.URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InvalidSetting(
            "PREFECT_EXPERIMENTS_STORE_URL is not a database URL that can be used "
            f"({type(error).__name__}); write sqlite:///path/to/experiments.db or postgresql://user:password@host/name"
        ) from None
    if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise InvalidSetting(f"the store can be SQLite or PostgreSQL, not {parsed.get_backend_name()!r}")
    return parsed


def _make_folder(path: str) -> None:
    try:
        Path(path).expanduser().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSetting(f"cannot make the folder for the store {path}: {error.strerror}") from None


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Write-ahead log: several processes read while one writes. It stays set in the file."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # Two processes that open a new file at once: SQLite does not wait here by itself.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("immediate"):
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('sync', True) else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")


def _first_line(error: DBAPIError) -> str:
    text = str(error.orig).strip()
    return text.splitlines()[0] if text else type(error).__name__
