"""A client on a store of its own; Prefect's server is there for what runs something."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_experiments import Client
from support.on_prefect import settings_for
from support.patience import PATIENCE_S


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(backend="local", store_url=f"sqlite:///{tmp_path / 'experiments.db'}")


@pytest.fixture
def on_the_server(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", str(PATIENCE_S))
    with settings_for(prefect_api):
        yield
