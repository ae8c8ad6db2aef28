"""The connection to the database: SQLite or PostgreSQL, opened, migrated, and its errors named."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from prefect_experiments.errors import (
    ExperimentsError,
    InvalidInput,
    InvalidSetting,
    NotFound,
    StoreUnavailable,
    from_here,
    needs_extra,
)
from prefect_experiments.store.patience import Outage
from prefect_experiments.store.tables import metadata

BUSY_TIMEOUT_S = 1  # what SQLite waits by itself, without a word; then the rules of `patience` hold
HEAD = "0008"
# PostgreSQL's advisory locks; any numbers that are ours.
_MIGRATION_LOCK = 0x9E8F_EC7E
_ALONE_LOCK = 0x9E8F_EC7F
_SNAPSHOT = "REPEATABLE READ"
# A server that is gone is noticed within seconds, not when TCP gives up; the URL may say otherwise.
_POSTGRES_TIMEOUTS = {"connect_timeout": 10, "tcp_user_timeout": 30_000}
_SECRET_OPTIONS = {"password", "sslpassword"}

# As Alembic makes it.
_alembic_version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


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
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.in_memory = self.is_sqlite and self.url.database in (None, "", ":memory:")
        # An in-memory database is one connection, so its transactions take turns.
        self._turns: Any = threading.RLock() if self.in_memory else contextlib.nullcontext()
        self._sql: dict[Any, str] = {}
        self._upserts: dict[Any, Any] = {}
        self.outage = Outage(self.shown_url)
        self.engine = self._connect()
        # On PostgreSQL, too, what one transaction reads is of one moment.
        self._reader = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level=_SNAPSHOT)
        try:
            self.outage.patiently(self._migrate, unless_busy=0.0)
        except BaseException:
            self.dispose()
            raise

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        options = {key: "***" if key in _SECRET_OPTIONS else value for key, value in self.url.query.items()}
        return self.url.set(query=options).render_as_string(hide_password=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction for reading; all that it reads is of one moment."""
        with self.named_errors(), self._turns, self._reader.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *, sync: bool = True, alone: bool = False) -> Iterator[Connection]:
        """A transaction for writing: SQLite's write lock is taken at once, not half-way through.

        Args:
            sync: wait at the end until the disk has it. Without, a power cut can undo the
                transaction, a kill of the process cannot. (PostgreSQL always waits.)
            alone: on PostgreSQL, too, no other such transaction at the same time; for what is
                read first and then written. (On SQLite every writer is alone.)
        """
        with (
            self.named_errors(),
            self._turns,
            self.engine.connect().execution_options(immediate=True, sync=sync) as connection,
            connection.begin(),
        ):
            if alone:
                self._lock(connection, _ALONE_LOCK)
            yield connection

    def _lock(self, connection: Connection, number: int) -> None:
        if not self.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": number})

    def upsert(self, table: sa.Table, *, where: Any = None) -> Any:
        """An insert that replaces the row of the same primary key.

        Args:
            table: where to.
            where: replace only rows for which this holds.
        """
        # Kept: SQLAlchemy and `write_many` know a statement they have compiled by its identity.
        made_of = (table.name, id(where))
        if made_of not in self._upserts:
            self._upserts[made_of] = self._upsert(table, where), where
        return self._upserts[made_of][0]

    def _upsert(self, table: sa.Table, where: Any) -> Any:
        statement: Any
        if self.is_sqlite:
            statement = sqlite.insert(table)
        else:
            from sqlalchemy.dialects import postgresql  # costs 70 ms to import

            statement = postgresql.insert(table)
        key = [column.name for column in table.primary_key]
        changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
        return statement.on_conflict_do_update(index_elements=key, set_=changed, where=where)

    def write_many(self, connection: Connection, statement: Any, rows: list[tuple[Any, ...]]) -> None:
        """Execute an insert or upsert for each row, handing the rows to the driver as they are.

        A row has the values of all columns in the table's order.

        SQLAlchemy would look at each value of each row first; what is written here needs none of
        its conversions, and there are three rows and more for each example.
        """
        sql = self._sql.get(statement)
        if sql is None:
            # By place, which both drivers take: `?` and `%s`.
            dialect: Any = type(self.engine.dialect)
            by_place = dialect(paramstyle="qmark" if self.is_sqlite else "format")
            sql = self._sql[statement] = str(statement.compile(dialect=by_place))
        connection.exec_driver_sql(sql, rows)

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextlib.contextmanager
    def named_errors(self) -> Iterator[None]:
        """Turn the driver's errors into ours; neither statements nor values get into the text."""
        try:
            yield
        except DBAPIError as error:
            raise self._named(error) from None
        except PoolTimeout:
            raise StoreUnavailable(
                f"the store at {self.shown_url} is too busy: all connections of this process stayed in use. Try again.",
                is_busy=True,
            ) from None
        except UnicodeEncodeError:
            raise InvalidInput("text with a lone surrogate is not Unicode and cannot be kept in the store") from None

    def _named(self, error: DBAPIError) -> ExperimentsError:
        said = _first_line(error)
        if isinstance(error, IntegrityError) and _is_orphan(error):
            return NotFound("what this belongs to is no longer in the store: it was deleted in the meantime")
        if isinstance(error, DataError | IntegrityError):
            return InvalidInput(f"a value that the store at {self.shown_url} cannot hold: {said}")
        if isinstance(error, ProgrammingError):
            return InvalidSetting(f"the store at {self.shown_url} cannot be used: {said}")
        if self.is_sqlite and type(error) is DatabaseError:
            return InvalidSetting(
                f"the store at {self.shown_url} cannot be used: {said}. It is damaged, or another sort of file; "
                "name another path, or put back a copy of it"
            )
        return StoreUnavailable(
            f"the store at {self.shown_url} does not answer: {said}. "
            "Is the database running, the path writable, the disk not full? Finished work is kept; try again.",
            reason=said,
            is_busy=getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED),
        )

    def _connect(self) -> Engine:
        if not self.is_sqlite:
            timeouts = {key: value for key, value in _POSTGRES_TIMEOUTS.items() if key not in self.url.query}
            with needs_extra("postgres", "a store in PostgreSQL"):
                return sa.create_engine(self.url, connect_args=timeouts, pool_pre_ping=True, hide_parameters=True)
        arguments: dict[str, Any] = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
        if self.in_memory:
            engine = sa.create_engine("sqlite://", connect_args=arguments, poolclass=StaticPool, hide_parameters=True)
        else:
            _check_file(str(self.url.database))
            engine = sa.create_engine(self.url, connect_args=arguments, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _migrate(self) -> None:
        """Bring the schema to this version's, once, whoever comes first."""
        with self.named_errors(), self._turns:
            with self.engine.connect() as connection:
                if _version(connection) == HEAD:
                    return
            with self.engine.connect().execution_options(immediate=True) as connection, connection.begin():
                self._lock(connection, _MIGRATION_LOCK)
                found = _version(connection)  # again: another process may have come first
                if found is None:
                    self._create(connection)
                elif found != HEAD:
                    self._upgrade(connection, found)

    def _create(self, connection: Connection) -> None:
        """Make the newest schema at once: the same as all migrations make, without loading Alembic."""
        foreign = set(sa.inspect(connection).get_table_names()) & set(metadata.tables)
        if foreign:
            raise InvalidSetting(
                f"the database {self.shown_url} has tables of another application that are called as the store's: "
                f"{', '.join(sorted(foreign))}; give the store a database of its own"
            )
        metadata.create_all(connection, checkfirst=False)
        _alembic_version.create(connection)
        connection.execute(_alembic_version.insert().values(version_num=HEAD))

    def _upgrade(self, connection: Connection, found: str) -> None:
        from prefect_experiments.store import migrations  # Alembic costs 0.4 s to import

        if migrations.is_known(found):
            migrations.upgrade(connection)
        elif set(metadata.tables) <= set(sa.inspect(connection).get_table_names()):
            raise InvalidSetting(
                f"the store at {self.shown_url} was made by a newer version of prefect-experiments: its schema is "
                f"{found}, this version knows {HEAD}. Upgrade the package: pip install -U prefect-experiments"
            )
        else:
            raise InvalidSetting(
                f"the database {self.shown_url} belongs to another application (its alembic_version is {found}); "
                "give the store a database of its own"
            )


def _version(connection: Connection) -> str | None:
    """The schema's version, ``None`` where there is no schema."""
    if not sa.inspect(connection).has_table(_alembic_version.name):
        return None
    return connection.execute(sa.select(_alembic_version.c.version_num)).scalar()


def portable(url: sa.URL) -> str:
    """A URL that `parse_url` gave, without a secret in it: the password, if any, is for whoever opens it to know."""
    plain = {key: value for key, value in url.query.items() if key not in _SECRET_OPTIONS}
    without: sa.URL = url._replace(password=None)  # `set` leaves alone what is None
    return without.set(query=plain).render_as_string(hide_password=False)


def parse_url(url: str) -> sa.URL:
    """The URL of a store with everything filled in: the driver, and a file's absolute path.

    A driver that the URL names is not used: the store has its own, and Prefect's URLs, which
    name asynchronous ones, do as they are.

    Raises:
        InvalidSetting: it cannot be used.
    """
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise InvalidSetting(
            f"{_origin(url)} is not a database URL that can be used "
            f"({type(error).__name__}); write sqlite:///path/to/experiments.db or postgresql://user:password@host/name"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise InvalidSetting(f"the store can be SQLite or PostgreSQL, not {backend!r}")
    path = parsed.database
    if path and path != ":memory:" and not path.startswith("file:"):
        # A later change of the working directory must not lead to another file.
        try:
            path = str(Path(path).expanduser().absolute())
        except RuntimeError as error:  # ~ of an unknown user
            raise InvalidSetting(f"the store's path {path} leads nowhere: {error}") from None
        except FileNotFoundError:
            raise InvalidSetting(f"the store's path {path} leads nowhere {from_here()}") from None
    return parsed.set(drivername="sqlite", database=path)


def _origin(url: str) -> str:
    """What a URL that cannot be read is called. It may hold a password anywhere."""
    if url == os.environ.get("PREFECT_EXPERIMENTS_STORE_URL"):
        return "PREFECT_EXPERIMENTS_STORE_URL"
    return f"the store's URL {url!r}" if re.fullmatch(r"[\w./-]+", url) else "the store's URL"


def _check_file(path: str) -> None:
    """Make the folder of an SQLite file, and refuse a path that cannot be written to."""
    if path.startswith("file:"):
        return
    file = Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSetting(f"cannot make the folder for the store {path}: {error.strerror}") from None
    if file.is_dir():
        raise InvalidSetting(f"the store's path {path} is a folder; name a file in it, such as {file / 'store.db'}")
    # SQLite makes further files beside its own, so the folder must be writable as well.
    effective = os.access in os.supports_effective_ids
    for what in (file.parent, file):
        if what.exists() and not os.access(what, os.W_OK, effective_ids=effective):
            raise InvalidSetting(f"the store {path} cannot be written to: no permission to write to {what}")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Write-ahead log: several processes read while one writes. It stays set in the file."""
    deadline = time.monotonic() + 30
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            # Two processes that open a new file at once: SQLite does not wait here by itself.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
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


def _is_orphan(error: IntegrityError) -> bool:
    """Whether a row was refused because the one it belongs to is not there."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
    return getattr(cause, "sqlstate", None) == "23503"


def _first_line(error: DBAPIError) -> str:
    text = str(error.orig).strip()
    return text.splitlines()[0] if text else type(error).__name__
