"""The server that Prefect starts for a process where `PREFECT_API_URL` names none."""

from __future__ import annotations

import asyncio
import threading

from prefect.context import get_settings_context
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE

STARTS_WITHIN_S = 300
"""How long it may take to start where nobody has said so: Prefect's own 20 s are too short for a busy machine."""

_LOOK_EVERY_S = 0.1
_PORT_WAS_TAKEN = 3  # Prefect tries another one


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

    server = SubprocessASGIServer()
    if server.running:
        return
    failed: list[Exception] = []

    def start() -> None:
        try:
            server.start(timeout=_patience())
        except Exception as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    # A daemon, which ends with the process: Prefect goes on asking a server that has ended until the time is over.
    starting = threading.Thread(target=start, name="temporary-server", daemon=True)
    starting.start()
    while starting.is_alive():
        await asyncio.sleep(_LOOK_EVERY_S)
        process = server.server_process
        if process is not None and process.poll() not in (None, _PORT_WAS_TAKEN):
            raise NotStarted(f"Prefect's temporary server ended with exit code {process.returncode}")
    if failed:
        raise NotStarted(f"Prefect's temporary server did not start: {failed[0]!s:.300}")


def _patience() -> int:
    ephemeral = get_settings_context().settings.server.ephemeral
    named = "startup_timeout_seconds" in ephemeral.model_fields_set
    return int(ephemeral.startup_timeout_seconds) if named else STARTS_WITHIN_S
