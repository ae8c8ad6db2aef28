"""Every test here runs against a stand-in for Arize AX (`support/arize_stand_in`): it is not AX."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.backends import circuit_breaker
from prefect_experiments.backends import pusher as queue
from prefect_experiments.backends.arize import api, datasets, experiments, pushing, taken
from support.arize import KEY, StandIn, arize, arize_server, arize_url, official, official_old
from support.on_prefect import settings_for
from support.patience import PATIENCE_S

__all__ = ["arize", "arize_server", "arize_url", "official", "official_old"]

pytest.register_assert_rewrite("tests.backends.arize.referee")


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
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", str(PATIENCE_S))
    with settings_for(prefect_api):
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


@pytest.fixture
def hasty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A tenth of the waiting. How many rows make more than two requests: a hundred are in one, except in slow tests."""
    monkeypatch.setattr(pushing, "LINGER_S", 0.1)
    monkeypatch.setattr(taken, "SHORTEST_DOUBT_S", 0.2)
    monkeypatch.setattr(api, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(datasets, "SETTLED_S", 0.5)
    monkeypatch.setattr(circuit_breaker, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(circuit_breaker, "LONGEST_PAUSE_S", 1.5)
    monkeypatch.setattr(queue, "FIRST_PAUSE_S", 0.05)
    if request.node.get_closest_marker("slow") is not None:
        return 2600
    for module in (pushing, datasets, experiments):
        monkeypatch.setattr(module, "MOST_ROWS", 100)
    monkeypatch.setattr(pushing.ArizePusher, "lanes", 100)
    return 260
