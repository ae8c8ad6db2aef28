"""A Prefect server of the tests' own: a free port, a home of its own, gone when the tests are.

    def test_something(prefect_api): ...   # the URL of its API

Starting one takes 15 seconds. While working on tests, start one by hand, once, and name it:
``PREFECT_EXPERIMENTS_TEST_API_URL=http://127.0.0.1:4200/api``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

REUSE = "PREFECT_EXPERIMENTS_TEST_API_URL"
STARTS_WITHIN_S = 90
STOPS_WITHIN_S = 10

# The server's parent. It ends with the server, and it ends the server when its own standard input
# ends, which happens even when the tests are killed outright and no code of theirs runs any more.
_KEEPER = """
import os, subprocess, sys, threading, time
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=lambda: os._exit(server.wait() and 1), daemon=True).start()
sys.stdin.read()
server.terminate()
time.sleep(5)
server.kill()
time.sleep(5)
"""


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """The URL of the API of a Prefect server that all tests share."""
    if url := os.environ.get(REUSE):
        _wait_until_healthy(url, None)
        yield url
    else:
        with prefect_server() as url:
            yield url


@contextlib.contextmanager
def prefect_server() -> Iterator[str]:
    """Start a server and wait until it answers; gives the URL of its API."""
    # Its last files may be written after it has been told to end, so leftovers are no error.
    with tempfile.TemporaryDirectory(prefix="prefect-server-", ignore_cleanup_errors=True) as home:
        port = _free_port()
        url = f"http://127.0.0.1:{port}/api"
        with Path(home, "server.log").open("w+b") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-c", _KEEPER, *_command(port)],
                env=_environment(home),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests; the server ends when they have cleaned up
            )
            try:
                _wait_until_healthy(url, keeper, Path(log.name))
                yield url
            finally:
                _stop(keeper)


def without_prefect(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what the developer has set for Prefect, or for this package."""
    return {name: value for name, value in environment.items() if not name.startswith("PREFECT")}


def _command(port: int) -> list[str]:
    return [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]


def _environment(home: str) -> dict[str, str]:
    return {
        **without_prefect(os.environ),
        "PREFECT_HOME": home,
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(url: str, keeper: subprocess.Popen[bytes] | None, log: Path | None = None) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not _is_healthy(url):
        ended = keeper is not None and keeper.poll() is not None
        if ended or time.monotonic() > deadline:
            why = "ended" if ended else f"did not answer within {STARTS_WITHIN_S} s"
            said = "" if log is None else f"; it said:\n{log.read_text(errors='replace')[-3000:]}"
            raise RuntimeError(f"the Prefect server at {url} {why}{said}")
        time.sleep(0.1)


def _is_healthy(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    try:
        with opener.open(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _stop(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.stdin is not None
    keeper.stdin.close()
    try:
        keeper.wait(STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(keeper.pid, 9)
        keeper.wait()
