"""An SQLite database in a file: made for its owner alone, watched while it is open, and kept whole."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from pathlib import Path
from urllib.parse import quote

from prefect_experiments.errors import InvalidSetting, StoreLost, StoreUnavailable
from prefect_experiments.store.glances import Header, difference, glances

_LOOKS_AGAIN_FOR_S = 0.5  # another process may just be writing the header
_CHECKPOINT_WAIT_MS = 200
_SETTLES_FOR_S = 3.0
_FIRST_WAIT_S = 30.0
_WAL = 2
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
LEFT_BESIDE = ("-wal", "-shm", "-journal")
_UNSAVED = "what it held could not be saved: put it, or a copy of it, back in its place"
_OVERWRITTEN = (
    "what is in it now cannot be relied on: put back a copy, or see with `prefect-experiments store check` what is left"
)


class SqliteFile:
    """The file of a store.

    It may be deleted, replaced or cut short by others while it is in use. SQLite does not notice: what is written
    then goes to a file that nobody finds again. So each transaction begins with a look.

    Args:
        path: where it is; made where it is not there yet.

    Raises:
        InvalidSetting: no file can be made or written to there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        real = Path(os.path.realpath(path))  # beside it, not beside a link to it, is what SQLite makes
        self._beside = [real.with_name(f"{real.name}{end}") for end in ("-wal", "-shm")]
        self._lock = threading.RLock()
        self._open: dict[sqlite3.Connection, tuple[int, int]] = {}  # and the device and inode of the file
        self._log: list[tuple[int, int]] | None = None  # of the write-ahead log in use, and its index
        self._lost: str | None = None
        self._saved: Path | None = None
        _make(path)
        glances.sweep()
        try:
            self._seen = glances.at(path)
        except OSError as error:
            raise InvalidSetting(f"the store {path} cannot be opened: {error.strerror}") from None
        _refuse_log_of_another(path, self._seen.header, self._beside[0])

    @property
    def is_lost(self) -> bool:
        """Whether it is known to be no longer there."""
        return self._lost is not None

    def connect(self, wait_s: float) -> sqlite3.Connection:
        """A new connection, to the same file as all before it.

        Args:
            wait_s: seconds to wait for others who write.

        Raises:
            StoreLost: it is no longer there.
        """
        with self._lock:
            if not self._open and self._lost is None and self.path.exists():  # nobody's business while it was closed
                self._seen = glances.at(self.path)
        self.look()
        number = self._seen.number
        glances.connected(number, 1)
        try:
            connection = self._connect(wait_s)
        except BaseException:
            glances.connected(number, -1)
            raise
        with self._lock:
            self._open[connection] = number
        return connection

    def _connect(self, wait_s: float) -> sqlite3.Connection:
        # Never makes a file: an empty one in the place of the store would look like a new store.
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=rw",
            uri=True,
            timeout=wait_s,
            check_same_thread=False,
            isolation_level=None,  # transactions are begun by the database, not by the driver
        )
        try:
            _use_wal(connection)
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # opens the log, and holds on to it
        except BaseException:
            connection.close()
            raise
        return connection

    def closed(self, connection: sqlite3.Connection) -> None:
        """Take note that a connection is closed: with the last one, SQLite removes the write-ahead log."""
        with self._lock:
            if (number := self._open.pop(connection, None)) is not None:
                glances.connected(number, -1)
            if not self._open:
                self._log = None

    def is_there(self) -> bool:
        """Whether it is still where it was."""
        try:
            return self._lost is None and self._is_elsewhere() is None
        except StoreUnavailable:
            return False

    def look(self, *, in_use: bool = False) -> None:
        """See whether the file is still the one that was opened.

        Args:
            in_use: whether a connection has its write-ahead log open.

        Raises:
            StoreLost: it is not; the text says where everything has been saved, if that was possible.
            StoreUnavailable: it cannot be looked at.
        """
        if self._lost is None and (wrong := self._is_elsewhere() or (in_use and self._is_log_elsewhere())):
            self._lose(f"{wrong} while it was in use", saved=True)
        if self._lost is None and (wrong := self._is_other_content()):
            self._lose(f"{wrong} while it was in use", saved=False)
        if self._lost is not None:
            raise StoreLost(self._lost, saved_in=self._saved)

    def _is_elsewhere(self) -> str | None:
        try:
            found = self.path.stat()
        except OSError as error:
            return self._gone(error)
        return None if (found.st_dev, found.st_ino) == self._seen.number else "was replaced by another file"

    def _is_log_elsewhere(self) -> str | None:
        with self._lock:
            try:
                found = [path.stat() for path in self._beside]
            except OSError as error:
                return self._gone(error).replace("was", "lost its write-ahead log (…-wal, …-shm), which was")
            numbers = [(one.st_dev, one.st_ino) for one in found]
            if self._log is None:
                self._log = numbers
            return None if numbers == self._log else "lost its write-ahead log (…-wal, …-shm), which was replaced"

    def _gone(self, error: OSError) -> str:
        """What it means that a file cannot be looked at.

        Raises:
            StoreUnavailable: it may still be there.
        """
        if error.errno in _NOT_THERE:
            return "was deleted or moved"
        raise StoreUnavailable(
            f"the store's file {self.path} cannot be looked at: {error.strerror}", reason=str(error.strerror)
        ) from None

    def _is_other_content(self) -> str | None:
        """Whether somebody has written to the file who is not SQLite."""
        deadline = time.monotonic() + _LOOKS_AGAIN_FOR_S
        while True:
            try:
                found = self.path.stat()
                if (found.st_size, found.st_mtime_ns) == (self._seen.size, self._seen.changed_at):
                    return None
                now = glances.at(self.path)
            except OSError as error:
                return self._gone(error)
            wrong = difference(self._seen, now) if now.number == self._seen.number else "was replaced"
            if wrong is None:
                self._seen = now
                return None
            if time.monotonic() > deadline:
                return wrong
            time.sleep(0.05)

    def _lose(self, wrong: str, *, saved: bool) -> None:
        """Take note of what has become of the file, once.

        Args:
            wrong: what.
            saved: whether open connections still see all that it held.
        """
        with self._lock:
            if self._lost is not None:
                return
            what = _OVERWRITTEN
            if saved:
                self._saved, what = self._save(), _UNSAVED
            if self._saved is not None:
                what = (
                    f"everything that was kept until now is saved in {self._saved}: put it in its place, or name it "
                    "with --store-url, and resume"
                )
            self._lost = f"the store's file {self.path} {wrong}; {what}"

    def _save(self) -> Path | None:
        """Copy what open connections still see to a new file beside; ``None`` where that cannot be done."""
        folder = next(folder for folder in self.path.parents if folder.is_dir())
        names = (folder / f"{self.path.name}.saved-{number}" for number in range(1, 1000))
        target = next(name for name in names if not name.exists())
        for connection in [one for one in self._open if not one.in_transaction]:
            with contextlib.suppress(OSError, sqlite3.Error):
                copy_to(connection, target)
                return target
        return None


def reader(path: str) -> sqlite3.Connection:
    """A connection that changes nothing: it makes no file beside the store's either."""
    log = Path(f"{os.path.realpath(path)}-wal")
    # Without a log, nobody has the file open: SQLite need not make one to read what does not change.
    how = "mode=ro" if log.exists() else "immutable=1"
    uri = f"file:{quote(path)}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=1, check_same_thread=False, isolation_level=None)


def settle(connection: sqlite3.Connection) -> None:
    """Move the write-ahead log into the file, so that the file alone holds everything, as far as readers let it.

    What a long read still needs cannot be moved; then the file alone may not even be whole.
    """
    [timeout] = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout={_CHECKPOINT_WAIT_MS}")
    deadline = time.monotonic() + _SETTLES_FOR_S
    try:
        while True:
            _, in_log, moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if in_log == moved >= 0 or time.monotonic() > deadline:
                return
            time.sleep(0.01)
    finally:
        connection.execute(f"PRAGMA busy_timeout={timeout}")


def copy_to(connection: sqlite3.Connection, target: Path) -> None:
    """Copy a database to a file, as it is at one moment; others may write meanwhile. Only its owner can read the file.

    Args:
        connection: to the database, outside a transaction.
        target: what is there is replaced when the copy is whole.

    Raises:
        OSError: the file cannot be written.
        sqlite3.Error: the copy is not whole.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
            connection.backup(copy)
            if (said := copy.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(f"the copy is not whole: {said}")
            copy.execute("PRAGMA journal_mode=DELETE")  # a file that needs no other, until a store is opened on it
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)
    finally:
        for left in (part, *(part.with_name(f"{part.name}{end}") for end in LEFT_BESIDE)):
            left.unlink(missing_ok=True)


def _make(path: Path) -> None:
    """Make the folder and an empty file for its owner alone, and refuse a path that cannot be written to."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSetting(
            f"cannot make the folder for the store {path}: {error.strerror}; name another place with "
            "PREFECT_EXPERIMENTS_STORE_URL or --store-url, or set PREFECT_HOME"
        ) from None
    check_usable(path)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # SQLite gives its other files the same mode
    except FileExistsError:
        pass
    except OSError as error:
        raise InvalidSetting(f"the store {path} cannot be made: {error.strerror}") from None
    for file in (path, *(path.with_name(f"{path.name}{end}") for end in LEFT_BESIDE)):
        _close_to_others(file)


def check_usable(path: Path) -> None:
    """Refuse a path that cannot hold a store, or cannot be written to. Nothing is made.

    Raises:
        InvalidSetting: it is such a one.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:  # such as of a name that is too long
        raise InvalidSetting(f"the store {path} cannot be made: {error.strerror}") from None
    if is_folder:
        raise InvalidSetting(f"the store's path {path} is a folder; name a file in it, such as {path / 'store.db'}")
    if path.exists() and not path.is_file():
        raise InvalidSetting(f"the store's path {path} is a device or a pipe, which cannot hold a store; name a file")
    # SQLite makes further files beside its own, so the folder must be writable as well; where there is none, the one
    # that it is made in.
    effective = os.access in os.supports_effective_ids
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    for what in (folder, path):
        if what.exists() and not os.access(what, os.W_OK, effective_ids=effective):
            raise InvalidSetting(f"the store {path} cannot be written to: no permission to write to {what}")
    if not folder.is_dir():
        raise InvalidSetting(f"the store {path} cannot be made: {folder} is no folder")


def _refuse_log_of_another(path: Path, header: Header | None, log: Path) -> None:
    """SQLite would write what a log holds over any file that it lies beside, and destroy it.

    A copy that was put in the place of a store whose process was killed has the log of that one beside it.
    """
    with contextlib.suppress(FileNotFoundError):
        if header is not None and header.mode < _WAL and log.stat().st_size:
            raise InvalidSetting(
                f"the store {path} is a copy, and beside it is {log.name} of the file that was there before: together "
                "they would destroy it. Move that away (and …-shm), or delete it, and try again"
            )


def _close_to_others(file: Path) -> None:
    """Whoever may not write to a store cannot use it, and need not read it: what earlier versions made is closed."""
    with contextlib.suppress(OSError):
        mode = file.stat().st_mode & 0o777
        closed = mode & ~(0o040 if not mode & 0o020 else 0) & ~(0o004 if not mode & 0o002 else 0)
        if closed != mode:
            file.chmod(closed)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Write-ahead log: several processes read while one writes. It stays set in the file."""
    deadline = time.monotonic() + _FIRST_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            # Two processes that open a new file at once: SQLite does not wait here by itself.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
