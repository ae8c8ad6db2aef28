"""A Prefect server of the tests' own: a free port, a home of its own, gone when the tests are.

    def test_something(prefect_api): ...   # the URL of its API

Starting one takes 15 seconds. While working on tests, start one by hand, once, and name it:
``PREFECT_EXPERIMENTS_TEST_API_URL=http://127.0.0.1:4200/api``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.coverage_of_processes import unmeasured
from support.environment import fast_folder, without_prefect
from support.servers import Server, free_port, running, wait_until_healthy

REUSE = "PREFECT_EXPERIMENTS_TEST_API_URL"
_COMMAND = Path(__file__).with_name("prefect_on_sqlite.py")
NEW_HOME = "PREFECT_EXPERIMENTS_TEST_PREFECT_HOME"
"""Names a folder with what a new server has made in its home: 150 migrations are half of what its start takes."""

_FOR_OTHERS = ("SCHEDULER", "LATE_RUNS", "PAUSE_EXPIRATIONS", "FOREMAN", "CANCELLATION_CLEANUP", "CLEANUP_RECONCILER")
_SERVICES = {
    # These look for work every few seconds, and flow runs as the tests share the server for have none for them: no
    # schedules, no pauses, no workers.
    **{f"{name}_ENABLED": "false" for name in _FOR_OTHERS},
    # A transaction for each state of each task is more than the server can do for four processes: it is behind by up to
    # a minute then. A part of a second is cut off, and with 0 seconds it writes in a loop without a pause.
    "TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """The URL of the API of a Prefect server that all tests share."""
    if url := os.environ.get(REUSE):
        wait_until_healthy(f"{url}/health")
        yield url
    else:
        with shared_server() as url:
            yield url
            _let_prefect_finish()


def _let_prefect_finish() -> None:
    """Let events and log lines go while there is a server: without one, Prefect tries each for long at the exit."""
    for name, module in (("EventsWorker", "prefect.events.worker"), ("APILogWorker", "prefect.logging.handlers")):
        if module in sys.modules:
            getattr(sys.modules[module], name).drain_all(timeout=20)


def shared_server() -> contextlib.AbstractContextManager[str]:
    """One for tests that run flows and read what there is of them."""
    return prefect_server(**{f"PREFECT_SERVER_SERVICES_{name}": value for name, value in _SERVICES.items()})


@contextlib.contextmanager
def prefect_server(*, python: str | Path = sys.executable, host: str = "127.0.0.1", **settings: str) -> Iterator[str]:
    """Start a server and wait until it answers; gives the URL of its API.

    Args:
        python: the interpreter, and so the environment, that it runs in.
        host: an address of this machine at which it is to be found.
        settings: further ones, by the names of their environment variables.
    """
    # Its last files may be written after it has been told to end, so leftovers are no error.
    with tempfile.TemporaryDirectory(prefix="prefect-server-", dir=fast_folder(), ignore_cleanup_errors=True) as home:
        port = free_port()
        url = f"http://{host}:{port}/api"
        # Without -P, the modules beside this one would be found as top-level ones.
        command = [str(python), "-P", str(_COMMAND), "server", "start", "--host", host, "--port", str(port)]
        own = python == sys.executable  # another environment may have another version, with other migrations
        if own:
            move_in(home)
        with running(Server(command, {**_environment(home), **settings}, f"{url}/health", Path(home, "server.log"))):
            if own:
                _keep(Path(home))
            yield url


def move_in(home: str | Path) -> None:
    """Put what a new server makes into a home of Prefect's, where it is kept; elsewhere the server makes it."""
    if (kept := os.environ.get(NEW_HOME)) and Path(kept).exists():
        shutil.copytree(kept, home, dirs_exist_ok=True)


def _keep(home: Path) -> None:
    """Keep what a server that has only just started has made, for those that start later."""
    if not (name := os.environ.get(NEW_HOME)) or Path(name).exists():
        return
    with tempfile.TemporaryDirectory(dir=Path(name).parent) as folder:
        made = Path(folder, "home")
        made.mkdir()
        shutil.copy(home / "memo_store.toml", made)  # which blocks there are
        with (
            contextlib.closing(sqlite3.connect(home / "prefect.db")) as source,
            contextlib.closing(sqlite3.connect(made / "prefect.db")) as copy,
        ):
            source.backup(copy)
        with contextlib.suppress(OSError):  # another process was first
            made.rename(name)


def _environment(home: str) -> dict[str, str]:
    return {
        **unmeasured(without_prefect(os.environ)),
        "PREFECT_HOME": home,
        "PREFECT_SERVER_UI_ENABLED": "false",
    }
