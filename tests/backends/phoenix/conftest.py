"""Every test here runs on a real Phoenix and a real Prefect server, with a store and dataset names of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import Client
from support.on_prefect import settings_for
from support.patience import PATIENCE_S, http

pytest.register_assert_rewrite("tests.backends.phoenix.referee")


@pytest.fixture(autouse=True)
def _on_the_server(prefect_api: str, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith(("PHOENIX_", "PREFECT_EXPERIMENTS_BACKEND"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)  # for the processes that tests start
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", str(PATIENCE_S))
    with settings_for(prefect_api):
        yield


@pytest.fixture
def name(phoenix_url: str) -> Iterator[str]:
    """A name that nothing has on the Phoenix that all tests share; datasets whose names begin with it go away."""
    chosen = f"test-{uuid.uuid4().hex[:12]}"
    yield chosen
    for dataset in http.get(f"{phoenix_url}/v1/datasets", params={"limit": 100}).json()["data"]:
        if dataset["name"].startswith(chosen):
            http.delete(f"{phoenix_url}/v1/datasets/{dataset['id']}")


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'experiments.db'}"


@pytest.fixture
def client(phoenix_url: str, store_url: str) -> Client:
    """Ours, on the Phoenix."""
    return Client(backend="phoenix", base_url=phoenix_url, store_url=store_url)


@pytest.fixture
def elsewhere(phoenix_url: str, tmp_path: Path) -> Client:
    """Ours on another machine: the same Phoenix, another store."""
    return Client(backend="phoenix", base_url=phoenix_url, store_url=f"sqlite:///{tmp_path / 'elsewhere.db'}")


@pytest.fixture
def local(store_url: str) -> Client:
    """Ours without a backend, on the same store as `client`."""
    return Client(backend="local", store_url=store_url)


@pytest.fixture
def official(phoenix_url: str) -> PhoenixClient:
    """Phoenix's own client: the referee."""
    return PhoenixClient(base_url=phoenix_url)
