"""A private PostgreSQL server for the tests, and a fresh database for each that asks.

    def test_something(postgres_url): ...

The server is made of whatever binaries the machine has; without any, the test is skipped.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.environment import fast_folder
from support.patience import PATIENCE_S
from support.servers import free_port

PASSWORD = "s3cret-pa:ss"  # with a character that a URL must quote
_URL_PASSWORD = "s3cret-pa%3Ass"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here, because after a fork is too late
# Nothing here outlives the tests, so nothing need survive a power cut.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}


def server_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`, of the newest version there is."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    for root in (Path("/usr/lib/postgresql"), Path("/usr/local"), Path("/opt/homebrew/opt")):
        folders += sorted(root.glob("*/bin"), key=_version_in, reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _version_in(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdigit())


class PostgresServer:
    """One private server on a free port of 127.0.0.1.

    Args:
        binaries: the folder with its programs.
        address: another address of this machine at which it is to be found.
    """

    def __init__(self, binaries: Path, address: str = "127.0.0.1") -> None:
        self._binaries, self._address = binaries, address
        self._folder = Path(tempfile.mkdtemp(prefix="prefect-experiments-pg-", dir=fast_folder()))
        self._as: dict[str, Any] = other_user() if os.geteuid() == 0 else {}  # initdb refuses to run as root
        self._numbers = itertools.count(1)
        self._empty: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._as:
            for path in (self._folder, password):
                os.chown(path, self._as["user"], self._as["group"])
        made = subprocess.run(
            [
                *(self._binaries / "initdb", "-D", self._folder / "data", "-U", "tester", "--pwfile", password),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            **self._as,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}\n{made.stderr}")
        with (self._folder / "data" / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet scram-sha-256\n")
        for attempt in range(3):  # the free port may be taken by somebody else before the server has it
            if self._serve():
                return
            log = (self._folder / "log").read_text()
            assert attempt < 2, f"PostgreSQL did not start:\n{log}"

    def _serve(self) -> bool:
        self.port = free_port()
        here = {"listen_addresses": ",".join(dict.fromkeys(["127.0.0.1", self._address]))}
        settings = [part for name, value in (_SETTINGS | here).items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._folder / "data", "-p", str(self.port), *settings],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
                **self._as,
            )
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        self._end()
        return False

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute one statement as the superuser; its rows, if it gives any."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="tester", password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def create_database(self) -> str:
        """The URL of an empty database, of a name that no other one had."""
        name = f"store_{next(self._numbers)}"
        if self._empty:  # a tenth of what it takes to make one
            self.execute(f"ALTER DATABASE {self._empty.pop()} RENAME TO {name}")
        else:
            self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql://tester:{_URL_PASSWORD}@{self._address}:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """End what is connected to a database, and remove all that is in it."""
        name = database_name(url)
        self.disconnect_all(url)
        self.execute(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC", database=name
        )
        self._empty.append(name)

    def disconnect_all(self, url: str) -> int:
        """End every connection to a database, as a failover would; how many there were."""
        statement = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database_name(url)}'"
        return len(self.execute(statement))

    def stop(self) -> None:
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)  # PostgreSQL's immediate shutdown
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def database_name(url: str) -> str:
    return url.rsplit("/", 1)[1]


def other_user() -> dict[str, Any]:
    """What makes `subprocess` run something as a user who is not root."""
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("neither a user `postgres` nor `nobody`: PostgreSQL cannot run as root")


def end_with_parent() -> None:
    """In the new process: end when the tests end, even when they are killed. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    binaries = server_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server binaries (initdb, postgres) in /usr/lib/postgresql/*/bin or on PATH")
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)
