"""pixie tells nobody that it is run, and the modules of one test's project are none of the next one's."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from support.on_prefect import client, on_the_server, store_url

__all__ = ["client", "on_the_server", "store_url"]


@pytest.fixture(autouse=True)
def without_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXIE_NO_TELEMETRY", "1")


@pytest.fixture(autouse=True)
def forgotten_modules() -> Iterator[None]:
    """What was imported from a test's own folder; packages that are installed are imported once."""
    before, path = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path, "a project was left on sys.path"
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if "site-packages" not in file and "pytest" in file:
            del sys.modules[name]
