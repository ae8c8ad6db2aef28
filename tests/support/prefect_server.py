"""A Prefect server of the tests' own: a free port, a home of its own, gone when the tests are.

    def test_something(prefect_api): ...   # the URL of its API

Starting one takes 15 seconds. While working on tests, start one by hand, once, and name it:
``PREFECT_EXPERIMENTS_TEST_API_URL=http://127.0.0.1:4200/api``.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.environment import fast_folder, without_prefect
from support.servers import Server, free_port, running, wait_until_healthy

REUSE = "PREFECT_EXPERIMENTS_TEST_API_URL"


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """The URL of the API of a Prefect server that all tests share."""
    if url := os.environ.get(REUSE):
        wait_until_healthy(f"{url}/health")
        yield url
    else:
        with prefect_server() as url:
            yield url
            _let_prefect_finish()


def _let_prefect_finish() -> None:
    """Let events and log lines go while there is a server: without one, Prefect tries each for long at the exit."""
    for name, module in (("EventsWorker", "prefect.events.worker"), ("APILogWorker", "prefect.logging.handlers")):
        if module in sys.modules:
            getattr(sys.modules[module], name).drain_all(timeout=20)


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
        command = [str(python), "-m", "prefect", "server", "start", "--host", host, "--port", str(port)]
        with running(Server(command, {**_environment(home), **settings}, f"{url}/health", Path(home, "server.log"))):
            yield url


def _environment(home: str) -> dict[str, str]:
    return {
        **without_prefect(os.environ),
        "PREFECT_HOME": home,
        "PREFECT_SERVER_UI_ENABLED": "false",
    }
