"""One temporary Prefect server for several processes, such as the workers of pytest-xdist.

Each would start one of its own, on the one database in Prefect's home. The first that needs one starts a process that
keeps it: not itself, as it may be done before the others are. The keeper ends the server when it is told to, and when
the process that owns the whole has ended, however that came about.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from prefect_experiments.orchestration.temporary_server import STARTS_WITHIN_S

_URL, _FAILED, _CLAIM, _KEEPER = "server.url", "server.failed", "server.claim", "server.keeper"
_LOOK_EVERY_S = 0.1
_ENDS_WITHIN_S = 15


_shared: set[str] = set()


def is_shared_server(url: str) -> bool:
    """Whether this is the address of such a server: it ends with the processes, and its pages with it."""
    return url in _shared


@contextlib.contextmanager
def sharing_server(folder: Path, owner: int) -> Iterator[None]:
    """Within this, Prefect's API is the server that all processes with this folder share; started if need be.

    Where `PREFECT_API_URL` names a server, or none may be started, this does nothing.

    Args:
        folder: what the processes share.
        owner: the number of the process at whose end the server ends.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

    if PREFECT_API_URL.value() or not PREFECT_SERVER_ALLOW_EPHEMERAL_MODE.value():
        yield
        return
    url = _started(folder, owner)
    if url is None:
        yield
        return
    _shared.add(url)
    with temporary_settings({PREFECT_API_URL: url}):
        yield


def end_server(folder: Path) -> None:
    """End the server, if there is one, and wait until it has ended."""
    with contextlib.suppress(FileNotFoundError):
        (folder / _CLAIM).unlink()
        until = time.monotonic() + _ENDS_WITHIN_S
        while (folder / _KEEPER).exists() and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
    for name in (_URL, _FAILED, _KEEPER):
        (folder / name).unlink(missing_ok=True)


def _started(folder: Path, owner: int) -> str | None:
    from prefect.settings import get_current_settings

    try:
        (folder / _CLAIM).open("x").close()
    except FileExistsError:
        pass
    else:
        (folder / _KEEPER).touch()
        subprocess.Popen(  # noqa: S603 - this module
            [sys.executable, "-m", __name__, str(folder), str(owner)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)},
            start_new_session=True,  # Ctrl-C is for the tests: what they are at the end of is told to the server
        )
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and not (folder / _FAILED).exists():
        with contextlib.suppress(FileNotFoundError):
            return (folder / _URL).read_text()
        time.sleep(_LOOK_EVERY_S)
    return None  # each for itself, then


def _keep(folder: Path, owner: int) -> None:
    """What the keeper does."""
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()
    try:
        server.start(timeout=STARTS_WITHIN_S)
        new = folder / f"{_URL}.new"
        new.write_text(server.api_url)
        new.replace(folder / _URL)
        while _lives(owner) and (folder / _CLAIM).exists():
            time.sleep(_LOOK_EVERY_S)
    except Exception as error:  # noqa: BLE001 - told to those who wait
        (folder / _FAILED).write_text(str(error))
    finally:
        server.stop()
        (folder / _KEEPER).unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    if os.name != "posix":  # there, the signal would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and another user's
        return True
    return True


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), int(sys.argv[2]))
