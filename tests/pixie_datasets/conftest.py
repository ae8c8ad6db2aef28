"""pixie tells nobody that it is run, and the modules of one test's project are none of the next one's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.modules import Snapshot
from support.on_prefect import client, on_the_server, store_url

__all__ = ["client", "on_the_server", "store_url"]


@pytest.fixture(autouse=True)
def without_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXIE_NO_TELEMETRY", "1")


@pytest.fixture(autouse=True)
def forgotten_modules(tmp_path: Path) -> Iterator[None]:
    modules, path = Snapshot(tmp_path), list(sys.path)
    yield
    assert sys.path == path, "a project was left on sys.path"
    modules.restore()
