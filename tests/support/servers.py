"""A server in a process of its own, for tests: started, waited for, and gone when the tests are."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from support.patience import FOREVER_S

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


class Server:
    """A server that can be killed and started again.

    Args:
        command: what starts it.
        environment: of its process.
        health: the URL that answers 200 when it is ready.
        log: where its output goes.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], health: str, log: Path) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._health = health
        self._log = log
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-c", _KEEPER, *self._command],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests; the server ends when they have cleaned up
            )
        wait_until_healthy(self._health, self._keeper, self._log)

    def stop(self) -> None:
        """Let it end in order."""
        if self._keeper is None:
            return
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        try:
            self._keeper.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._keeper = None

    def kill(self) -> None:
        """End it at once, in the midst of whatever it does."""
        if self._keeper is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._keeper.pid, 9)
            self._keeper.wait()
            self._keeper = None


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """Start a server; stop it when this is left."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


_PORTS = range(10_240, 32_000)  # below what systems give to those who ask for any port
_next_port = itertools.count(os.getpid() * 97)  # processes of tests begin at different ones


def free_port() -> int:
    """A port that nothing listens on, and that nobody gets who does not name it.

    One that the system gave, and that is free again, it may give to the next: what was sent to
    a server that one test has stopped would reach the server that another test has just started.
    """
    for number in itertools.islice(_next_port, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no port is free between {_PORTS.start} and {_PORTS.stop}")


def wait_until_healthy(url: str, keeper: subprocess.Popen[bytes] | None = None, log: Path | None = None) -> None:
    """Wait until a URL answers 200."""
    deadline = time.monotonic() + FOREVER_S  # that a server has ended is seen at once; one that lives may be slow
    while not _is_healthy(url):
        ended = keeper is not None and keeper.poll() is not None
        if ended or time.monotonic() > deadline:
            why = "ended" if ended else f"did not answer within {FOREVER_S:g} s"
            said = "" if log is None else f"; it said:\n{log.read_text(errors='replace')[-3000:]}"
            raise RuntimeError(f"the server at {url} {why}{said}")
        time.sleep(0.1)


def _is_healthy(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
