"""Every test here runs against a stand-in for Arize AX (`support/arize_stand_in`): it is not AX."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

from prefect_experiments import Client
from support.arize import KEY, StandIn, arize, arize_server, arize_url, official, official_old

__all__ = ["arize", "arize_server", "arize_url", "official", "official_old"]

pytest.register_assert_rewrite("tests.backends_arize.referee")


@pytest.fixture(autouse=True)
def _without_settings(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("ARIZE_", "PREFECT_EXPERIMENTS_"))]:
        if "TEST" not in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)


@pytest.fixture
def prefect(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For the tests that run experiments; the others need no Prefect server."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_LOGGING_LEVEL: "WARNING"}):
        yield


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'experiments.db'}"


def ours(stand_in: StandIn, **options: Any) -> Client:
    """Ours, on the stand-in."""
    where = {"api_host": stand_in.host, "api_port": stand_in.port, "api_scheme": "http"}
    return Client(**{"backend": "arize", "api_key": KEY, "space": "default", **where, **options})


@pytest.fixture
def client(arize: StandIn, store_url: str) -> Client:
    return ours(arize, store_url=store_url)


@pytest.fixture
def elsewhere(arize: StandIn, tmp_path: Path) -> Client:
    """Ours on another machine: the same AX, another store."""
    return ours(arize, store_url=f"sqlite:///{tmp_path / 'elsewhere.db'}")


@pytest.fixture
def local(store_url: str) -> Client:
    """Ours without a backend, on the same store as `client`."""
    return Client(backend="local", store_url=store_url)
