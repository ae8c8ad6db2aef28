"""The connection to the database: SQLite or PostgreSQL, opened, migrated, and its errors named."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from prefect_experiments.errors import (
    ExperimentsError,
    InvalidInput,
    InvalidSetting,
    NotFound,
    StoreUnavailable,
    needs_extra,
)
from prefect_experiments.store.patience import Outage, lost_at_work
from prefect_experiments.store.sqlite_file import SqliteFile, reader, settle
from prefect_experiments.store.tables import metadata, statements_for
from prefect_experiments.store.urls import connect_arguments, parse_url, shown, without_secrets_of

BUSY_TIMEOUT_S = 1  # what SQLite waits by itself, without a word; then the rules of `patience` hold
HEAD = "0013"
# PostgreSQL's advisory locks; any numbers that are ours.
_MIGRATION_LOCK = 0x9E8F_EC7E
_ALONE_LOCK = 0x9E8F_EC7F
_SNAPSHOT = "REPEATABLE READ"
# PostgreSQL's errors: something larger than it takes (54...), a prepared statement that is there already, or is not.
_TOO_LARGE, _NOT_PREPARED = "54", ("42P05", "26000")
_DAMAGE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)

Forms = Iterable[Callable[[str], tuple[Any, ...]]]
"""The forms that a row may have, each made of what was wrong with the one before it."""

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
        only_read: change nothing of it, its schema neither; it has to be there.

    Raises:
        InvalidSetting: the URL cannot be used.
        StoreUnavailable: the database does not answer.
    """

    def __init__(self, url: str, *, only_read: bool = False) -> None:
        self.url = parse_url(url)
        self.only_read = only_read
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.in_memory = self.is_sqlite and self.url.database is None
        # An in-memory database is one connection, so its transactions take turns.
        self._turns: Any = threading.RLock() if self.in_memory else contextlib.nullcontext()
        self._sql: dict[Any, str] = {}
        self._upserts: dict[Any, Any] = {}
        self.outage = Outage(self.shown_url)
        self._file: SqliteFile | None = None
        self.engine = self._connect()
        # On PostgreSQL, too, what one transaction reads is of one moment.
        options = {} if self.is_sqlite else {"isolation_level": _SNAPSHOT, "postgresql_readonly": only_read}
        self._reader = self.engine.execution_options(**options)
        if only_read:
            return
        try:
            self.outage.patiently(self._migrate, unless_busy=0.0)
        except BaseException:
            self.dispose()
            raise

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return shown(self.url)

    @property
    def is_lost(self) -> bool:
        """Whether its file was deleted or replaced while it was in use."""
        return self._file is not None and self._file.is_lost

    def version(self) -> str | None:
        """The schema's version, ``None`` where there is no schema.

        Raises:
            InvalidSetting: one that this package does not know.
        """
        with self.read() as connection:
            if (found := _version(connection)) not in (None, HEAD):
                self._refuse_unknown(connection, str(found))
        return found

    def look(self) -> None:
        """See whether an SQLite file is still the one that was opened. Each transaction begins with that, too.

        Raises:
            StoreLost: it is not.
        """
        if self._file is not None:
            self._file.look()

    def settle(self) -> None:
        """Have an SQLite file alone hold everything, as far as others who read it let it: it may be copied then."""
        if self._file is not None and self._file.is_there():
            with contextlib.suppress(ExperimentsError), self.driver_connection() as connection:
                settle(connection)

    @contextlib.contextmanager
    def driver_connection(self) -> Iterator[sqlite3.Connection]:
        """A connection to an SQLite file as its driver has it, outside a transaction."""
        try:
            with self.named_errors(), contextlib.closing(self.engine.raw_connection()) as connection:
                yield cast("sqlite3.Connection", connection.driver_connection)
        except sqlite3.Error as error:
            raise self._named(cast("DBAPIError", DBAPIError.instance("", (), error, sqlite3.Error))) from None

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

    def write_each(self, connection: Connection, statement: Any, rows: Iterable[Forms]) -> None:
        """As `write_many`, row by row, each in the first of its forms that the database takes.

        Raises:
            InvalidInput: it takes none of them.
        """
        for forms in rows:
            refused = ""
            for form in forms:
                try:
                    with self.named_errors(), connection.begin_nested():
                        self.write_many(connection, statement, [form(refused)])
                except InvalidInput as error:
                    if type(error) is not InvalidInput:
                        raise
                    refused = str(error)
                else:
                    break
            else:
                raise InvalidInput(refused)

    def dispose(self) -> None:
        """Close every connection. The last one that any process has to an SQLite file leaves everything in it."""
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
        except OverflowError:
            raise InvalidInput(f"an integer beyond 64 bits, which the store at {self.shown_url} cannot hold") from None
        except UnicodeEncodeError:
            raise InvalidInput("text with a lone surrogate is not Unicode and cannot be kept in the store") from None

    def _named(self, error: DBAPIError) -> ExperimentsError:
        said = without_secrets_of(self.url, _first_line(error))
        state = getattr(error.orig, "sqlstate", None) or ""
        if isinstance(error, IntegrityError) and _is_orphan(error):
            return NotFound("what this belongs to is no longer in the store: it was deleted in the meantime")
        if isinstance(error, DataError | IntegrityError) or state.startswith(_TOO_LARGE):
            return InvalidInput(f"a value that the store at {self.shown_url} cannot hold: {said}")
        if state in _NOT_PREPARED:
            return InvalidSetting(
                f"the store at {self.shown_url} is behind a pooler that gives each transaction another session: "
                f"{said}. Leave prepare_threshold out of the store's URL, or set it to none: nothing is prepared then"
            )
        if isinstance(error, ProgrammingError):
            return InvalidSetting(f"the store at {self.shown_url} cannot be used: {said}")
        if self.is_sqlite and type(error) is DatabaseError:
            return InvalidSetting(
                f"the store at {self.shown_url} cannot be used: {said}. It is damaged, or another sort of file; "
                "name another path, or put back a copy of it"
            )
        if self.is_sqlite and getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
            return StoreUnavailable(
                f"the store at {self.shown_url} cannot be read or written: {said}. Is the disk sound, and has nobody "
                "touched the files beside it (…-wal, …-shm)? `prefect-experiments store check` tells what is left"
            )
        return StoreUnavailable(
            f"the store at {self.shown_url} does not answer: {said}. "
            "Is the database running, the path writable, the disk not full? What it had confirmed is kept; try again.",
            reason=said,
            is_busy=getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED),
        )

    def _connect(self) -> Engine:
        if not self.is_sqlite:
            with needs_extra("postgres", "a store in PostgreSQL"):
                url, arguments = connect_arguments(self.url)
                engine = sa.create_engine(url, connect_args=arguments, pool_pre_ping=True, hide_parameters=True)
            if "prepare_threshold" not in self.url.query:
                event.listen(engine, "connect", _prepare_nothing_behind_a_pooler)
            event.listen(engine, "connect", _hold_no_locks_for_ever)
            event.listen(engine, "handle_error", lost_at_work)
            return engine
        if self.in_memory:
            threads = {"check_same_thread": False}
            engine = sa.create_engine("sqlite://", connect_args=threads, poolclass=StaticPool, hide_parameters=True)
            event.listen(engine, "connect", _prepare_memory)
        elif self.only_read:
            engine = sa.create_engine("sqlite://", creator=lambda: reader(str(self.url.database)), poolclass=NullPool)
        else:
            self._file = file = SqliteFile(Path(str(self.url.database)))
            timeout = float(str(self.url.query.get("timeout", BUSY_TIMEOUT_S)))
            engine = sa.create_engine(
                "sqlite://", creator=lambda: file.connect(timeout), poolclass=QueuePool, hide_parameters=True
            )
            event.listen(engine, "close", lambda connection, _record: file.closed(connection))
        event.listen(engine, "begin", self._begin_sqlite)
        return engine

    def _begin_sqlite(self, connection: Connection) -> None:
        if self._file is not None:
            self._file.look(in_use=True)
        options = connection.get_execution_options()
        if options.get("immediate"):
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('sync', True) else 'NORMAL'}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")

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
        # Into the file, and not only into its log: by that the file is told from another one that is copied over it.
        self.settle()
        self.look()

    def _create(self, connection: Connection) -> None:
        """Make the newest schema at once: the same as all migrations make, without loading Alembic."""
        foreign = set(sa.inspect(connection).get_table_names()) & set(metadata.tables)
        if foreign:
            raise InvalidSetting(
                f"the database {self.shown_url} has tables of another application that are called as the store's: "
                f"{', '.join(sorted(foreign))}; give the store a database of its own"
            )
        for statement in statements_for(self.engine.url.drivername):
            connection.exec_driver_sql(statement)
        _alembic_version.create(connection)
        connection.execute(_alembic_version.insert().values(version_num=HEAD))
        if self._file is not None:  # tells this store's file from others
            connection.exec_driver_sql(f"PRAGMA user_version={secrets.randbelow(2**31 - 1) + 1}")

    def _upgrade(self, connection: Connection, found: str) -> None:
        from prefect_experiments.store import migrations  # Alembic costs 0.4 s to import

        self._refuse_unknown(connection, found)
        migrations.upgrade(connection)

    def _refuse_unknown(self, connection: Connection, found: str) -> None:
        from prefect_experiments.store import migrations

        if migrations.is_known(found):
            return
        if set(metadata.tables) <= set(sa.inspect(connection).get_table_names()):
            raise InvalidSetting(
                f"the store at {self.shown_url} was made by a newer version of prefect-experiments: its schema is "
                f"{found}, this version knows {HEAD}. Upgrade the package: pip install -U prefect-experiments"
            )
        raise InvalidSetting(
            f"the database {self.shown_url} belongs to another application (its alembic_version is {found}); "
            "give the store a database of its own"
        )


LOCKED_S = 120
"""So long a transaction may stand still that has begun; long for whoever reads page by page."""


def _version(connection: Connection) -> str | None:
    """The schema's version, ``None`` where there is no schema."""
    if not sa.inspect(connection).has_table(_alembic_version.name):
        return None
    return connection.execute(sa.select(_alembic_version.c.version_num)).scalar()


def _prepare_nothing_behind_a_pooler(connection: Any, _record: Any) -> None:
    """Behind PgBouncer and its like, the next transaction may run in another session of the server.

    That does not know a statement that was prepared in the first, or has another one of that name. Elsewhere, prepared
    statements make writing thrice as fast. A pooler is known by the process that it says a connection has.
    """
    [process] = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    if process != connection.info.backend_pid:
        connection.prepare_threshold = None


def _hold_no_locks_for_ever(connection: Any, _record: Any) -> None:
    """Whoever is cut off in the middle of a transaction holds its locks until the server gives up: 2 hours, else.

    Behind a pooler it is the pooler that is connected, and that may have a session for others next.
    """
    [process] = connection.execute("SELECT pg_backend_pid()").fetchone()
    if process == connection.info.backend_pid:
        connection.execute(f"SET idle_in_transaction_session_timeout = '{LOCKED_S}s'")
    connection.commit()


def _prepare_memory(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver
    connection.execute("PRAGMA foreign_keys=ON")


def _is_orphan(error: IntegrityError) -> bool:
    """Whether a row was refused because the one it belongs to is not there."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
    return getattr(cause, "sqlstate", None) == "23503"


def _first_line(error: DBAPIError) -> str:
    text = str(error.orig).strip()
    return text.splitlines()[0] if text else type(error).__name__
