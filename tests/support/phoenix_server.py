"""A Phoenix of the tests' own: a free port, a folder of its own, gone when the tests are.

    def test_something(phoenix_url): ...   # a Phoenix that all tests share: use names of your own

Starting one takes 15 to 30 seconds. While working on tests, start one by hand, once, and name it:
``PREFECT_EXPERIMENTS_TEST_PHOENIX_URL=http://127.0.0.1:6006``.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.coverage_of_processes import unmeasured
from support.environment import fast_folder, without_prefect
from support.servers import Server, free_port, running, wait_until_healthy

REUSE = "PREFECT_EXPERIMENTS_TEST_PHOENIX_URL"


@pytest.fixture(scope="session")
def phoenix_url() -> Iterator[str]:
    """The URL of a Phoenix that all tests share."""
    if url := os.environ.get(REUSE):
        wait_until_healthy(f"{url}/healthz")
        yield url
    else:
        with phoenix_server() as (url, _):
            yield url


@contextlib.contextmanager
def phoenix_server(**environment: str) -> Iterator[tuple[str, Server]]:
    """Start a Phoenix and wait until it answers; gives its URL, and the server to kill and start again.

    Args:
        environment: further variables, such as ``PHOENIX_ENABLE_AUTH="true"``.
    """
    with tempfile.TemporaryDirectory(prefix="phoenix-", dir=fast_folder(), ignore_cleanup_errors=True) as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        settings = {
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            **environment,
        }
        server = Server(
            [str(Path(sys.executable).with_name("phoenix")), "serve"],
            {**unmeasured(without_prefect(os.environ)), **settings},
            f"{url}/healthz",
            Path(folder, "server.log"),
        )
        with running(server):
            yield url, server
