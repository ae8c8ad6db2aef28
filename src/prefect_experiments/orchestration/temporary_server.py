"""The server that Prefect starts for a process where `PREFECT_API_URL` names none."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, NoReturn

from prefect.context import get_settings_context
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE

STARTS_WITHIN_S = 300
"""How long it may take to start where nobody has said so: Prefect's own 20 s are too short for a busy machine."""

_LOOK_EVERY_S = 0.1
_TRIED_AGAIN = 3  # uvicorn's exit code where it cannot start: Prefect takes that for a port in use, for ever
_MOST_TRIES = 3

_starting: threading.Thread | None = None
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
        # A daemon, which ends with the process: Prefect goes on asking a server that has ended until the time is over.
        _starting = threading.Thread(target=_start, args=[server], name="temporary-server", daemon=True)
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
            raise NotStarted(f"Prefect's temporary server ended with exit code {code}")
    if _failures:
        raise NotStarted(f"Prefect's temporary server did not start: {_failures[0]!s:.300}")


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
