"""The environment that the tests run in: the same on every machine.

What a developer has set for Prefect, a backend, a model's provider or a terminal has no say, and the developer's own
store and profiles are not opened. Processes that tests start inherit all of it.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import certifi

_SERVICES = ("PREFECT", "PHOENIX", "ARIZE")
TAKEN_AWAY = (
    *_SERVICES,
    *("OPENAI_", "ANTHROPIC_", "OTEL_"),
    *("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CLICOLOR", "TTY_", "GITHUB_ACTIONS"),
    *("LANG", "LC_", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONWARNINGS"),
)
"""How the names of variables begin that say how what is tested behaves."""
AUTHORITY = "PREFECT_API_SSL_CERT_FILE"
_OF_TESTS = "PREFECT_EXPERIMENTS_TEST_"  # servers to use: see `support.prefect_server`
_PLAIN = {
    "DO_NOT_TRACK": "1",
    "LANG": "C.UTF-8",
    "TERM": "xterm",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",  # of those who start a server
    # One of eleven requests of a flow run is for a token, which servers ask for only where they are told to.
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
}
_MEMORY = Path("/dev/shm")
_ROOM_B = 2_000_000_000


def fast_folder() -> str | None:
    """Where servers and tests keep their files: in memory, where there is room; ``None`` for the usual place.

    They commit with each request and with each result, so that a slow disk would decide how long the tests take, and
    whether they pass.
    """
    there = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_B
    return str(_MEMORY) if there else None


def make_plain() -> None:
    """Make this process's environment what tests expect, with a home for Prefect that is gone when the process is.

    To be called before Prefect is imported, which reads its settings then. Each process of the tests has a home of its
    own: what a test keeps there, tests in other processes do not see.
    """
    for name in [name for name in os.environ if name.startswith(TAKEN_AWAY) and not name.startswith(_OF_TESTS)]:
        del os.environ[name]
    home = tempfile.mkdtemp(prefix="prefect-home-")
    # Registered before those of Prefect and of its threads, and so called after them.
    atexit.register(functools.partial(shutil.rmtree, home, ignore_errors=True))
    os.environ.update(_PLAIN, PREFECT_HOME=home, **{AUTHORITY: _one_authority(home)})
    if (folder := fast_folder()) is not None:  # for `tmp_path`: stores wait for the disk with each transaction
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)
    if path := os.environ.get("PYTHONPATH"):  # for those that start in another folder
        os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))


def _one_authority(folder: str) -> str:
    """A file with one authority in place of a hundred.

    For each flow run Prefect makes several clients, each of which reads them all: a quarter of what such tests take.
    The tests' servers of Prefect speak no TLS.
    """
    end = "-----END CERTIFICATE-----\n"
    first, _, _ = Path(certifi.where()).read_text().partition(end)
    file = Path(folder, "one-authority.pem")
    file.write_text(first + end)
    return str(file)


def without_prefect(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what a test has set for Prefect, a backend, or this package; its home stays."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_SERVICES) or name in {*_PLAIN, "PREFECT_HOME", AUTHORITY}
    }
