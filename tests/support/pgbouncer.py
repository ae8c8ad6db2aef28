"""A PgBouncer in transaction mode before the tests' PostgreSQL server.

    def test_something(pooled_url): ...

Each transaction may get another session of the server. Without the binary, the test is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.patience import PATIENCE_S
from support.postgres import PASSWORD, PostgresServer, end_with_parent, other_user
from support.servers import free_port

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users.txt
admin_users = tester
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
server_round_robin = 1
"""


def binary() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class PgBouncer:
    """One pooler on a free port of 127.0.0.1.

    Args:
        server: what it stands before.
        sessions: how many it opens there for each database.
    """

    def __init__(self, server: PostgresServer, sessions: int = 4) -> None:
        self._server = server
        self._sessions = sessions
        self._folder = Path(tempfile.mkdtemp(prefix="prefect-experiments-pgbouncer-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        self.port = free_port()
        as_user: dict[str, Any] = other_user() if os.geteuid() == 0 else {}  # it refuses to run as root
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(
            _CONFIGURATION.format(
                server=self._server.port, port=self.port, folder=self._folder, sessions=self._sessions
            )
        )
        (self._folder / "users.txt").write_text(f'"tester" "{PASSWORD}"\n')
        if as_user:
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, as_user["user"], as_user["group"])
        found = binary()
        assert found
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [found, settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
                **as_user,
            )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.execute("SHOW VERSION")
            except psycopg.OperationalError:
                ended = self._process.poll() is not None or time.monotonic() > deadline
                assert not ended, f"PgBouncer did not start:\n{(self._folder / 'log').read_text()}"
                time.sleep(0.05)
            else:
                return

    def execute(self, command: str) -> list[tuple[object, ...]]:
        """A command to the pooler itself; its rows, if it gives any."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="tester",
            password=PASSWORD,
            dbname="pgbouncer",
            autocommit=True,
            prepare_threshold=None,
        ) as connection:
            cursor = psycopg.ClientCursor(connection)  # it knows the simple protocol only
            cursor.execute(command.encode())
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def pgbouncer(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    if binary() is None:
        pytest.skip("no PgBouncer: the package is called pgbouncer (apt-get install pgbouncer)")
    pooler = PgBouncer(postgres_server)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()


@pytest.fixture
def pooled_url(pgbouncer: PgBouncer, postgres_server: PostgresServer, postgres_url: str) -> Iterator[str]:
    """The URL of an empty database behind the pooler."""
    yield postgres_url.replace(f":{postgres_server.port}/", f":{pgbouncer.port}/")
    pgbouncer.execute("RECONNECT")  # so that no session is left to a database that is taken away
