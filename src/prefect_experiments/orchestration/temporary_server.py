"""The server that Prefect starts for a process where `PREFECT_API_URL` names none.

What it writes (that its telemetry found its database locked, say, with a traceback) is about nothing that was asked
for, and is kept off the terminal; where it does not start, its last words are part of the error. Who has said what
Prefect is to log sees it all.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import tempfile
import threading
from functools import partial
from types import SimpleNamespace
from typing import IO, Any, NoReturn

from prefect.context import get_settings_context
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE

from prefect_experiments.texts import shortened

STARTS_WITHIN_S = 300
"""How long it may take to start where nobody has said so: Prefect's own 20 s are too short for a busy machine."""

_LOOK_EVERY_S = 0.1
_TRIED_AGAIN = 3  # uvicorn's exit code where it cannot start: Prefect takes that for a port in use, for ever
_MOST_TRIES = 3

_LOGGING = ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_SERVER_LEVEL", "PREFECT_DEBUG_MODE")
_LAST_WORDS = 300  # characters

_starting: threading.Thread | None = None
_written: IO[bytes] | None = None
_failures: list[Exception] = []


class NotStarted(PrefectException, OSError):
    """The temporary server has ended, or took too long."""


async def start_temporary_server() -> None:
    """Start it, if it is needed and not there yet, and wait until it answers, in a thread: loop and signals go on.

    Raises:
        NotStarted: it ended while it was starting, or took too long.
    """
    if PREFECT_API_URL.value() or not PREFECT_SERVER_ALLOW_EPHEMERAL_MODE.value():
        return
    from prefect.server.api.server import SubprocessASGIServer  # takes a second to import

    global _starting
    server: Any = SubprocessASGIServer()
    if _starting is None or not _starting.is_alive():
        if server.running:
            return
        _failures.clear()
        _keep_quiet(server)
        # A daemon, which ends with the process: Prefect goes on asking a server that has ended until the time is over.
        here = contextvars.copy_context()  # Prefect's settings are a context's
        _starting = threading.Thread(target=here.run, args=[_start, server], name="temporary-server", daemon=True)
        _starting.start()
    ended: set[Any] = set()
    while _starting.is_alive():
        await asyncio.sleep(_LOOK_EVERY_S)
        process = server.server_process
        if process is None or (code := process.poll()) is None:
            continue
        ended.add(process)
        if code != _TRIED_AGAIN or len(ended) == _MOST_TRIES:
            server.find_available_port = _no_more
            raise NotStarted(f"Prefect's temporary server ended with exit code {code}{_last_words()}")
    if _failures:
        raise NotStarted(f"Prefect's temporary server did not start: {_failures[0]!s:.300}{_last_words()}")


def _keep_quiet(server: Any) -> None:
    """Have a server that is to be started write into a file that nobody sees, and that ends with this process."""
    global _written
    if any(name in os.environ for name in _LOGGING):
        return
    module, start = sys.modules[type(server).__module__], server._run_uvicorn_command
    _written = written = tempfile.TemporaryFile()  # noqa: SIM115 - the server writes as long as it lives

    def start_quietly() -> subprocess.Popen[Any]:
        # Prefect hands on no place to write to; only what it starts from this very module is concerned.
        quiet = partial(subprocess.Popen, stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT)
        module.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": quiet})  # type: ignore[attr-defined]
        try:
            started: subprocess.Popen[Any] = start()
        finally:
            module.subprocess = subprocess  # type: ignore[attr-defined]
        return started

    server._run_uvicorn_command = start_quietly


def _last_words() -> str:
    """The last line that a server has written, for the error."""
    if _written is None:
        return ""
    _written.seek(0)
    lines = _written.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {shortened(last, _LAST_WORDS)}" if last else ""


def _start(server: Any) -> None:
    try:
        server.start(timeout=_patience())
    except Exception as error:  # noqa: BLE001 - raised again by whoever waits
        _failures.append(error)


def _no_more() -> NoReturn:
    raise NotStarted("it is not tried any more")


def _patience() -> int:
    ephemeral = get_settings_context().settings.server.ephemeral
    named = "startup_timeout_seconds" in ephemeral.model_fields_set
    return int(ephemeral.startup_timeout_seconds) if named else STARTS_WITHIN_S
