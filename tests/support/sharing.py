"""Where tests run in several processes (`-n 2`): one Prefect server and one Phoenix for all of them.

The process that starts the others starts the servers, and tells each where they are; then the fixtures of
`prefect_server` and `phoenix_server` find them as if a developer had started them by hand.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support import phoenix_server, prefect_server

_SERVERS = pytest.StashKey[tuple[contextlib.ExitStack, dict[str, str]]]()


@contextlib.contextmanager
def servers() -> Iterator[dict[str, str]]:
    """The environment that leads to the servers; they are started where they are not there yet."""
    ways: dict[str, Any] = {
        prefect_server.REUSE: prefect_server.shared_server(),
        phoenix_server.REUSE: phoenix_server.phoenix_server(),
    }
    missing = {name: server for name, server in ways.items() if not os.environ.get(name)}
    with contextlib.ExitStack() as stack:
        with ThreadPoolExecutor() as threads:  # each takes a quarter of a minute
            started = threads.map(stack.enter_context, missing.values())
            found = dict(zip(missing, started, strict=True))
        yield {name: url if isinstance(url, str) else url[0] for name, url in found.items()}


def servers_for(config: pytest.Config) -> dict[str, str]:
    """The same, once for a run of pytest, until its `stop_servers`."""
    if _SERVERS not in config.stash:
        if (cache := getattr(config, "cache", None)) is not None:  # the workers find it in their environment
            version = importlib.metadata.version("prefect")
            os.environ[prefect_server.NEW_HOME] = str(cache.mkdir("prefect") / version)
        stack = contextlib.ExitStack()
        config.stash[_SERVERS] = stack, stack.enter_context(servers())
    return config.stash[_SERVERS][1]


def stop_servers(config: pytest.Config) -> None:
    """Stop them, if there are any."""
    if _SERVERS in config.stash:
        config.stash[_SERVERS][0].close()
