"""A real Prefect server and a store of its own for every test, and stores on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_experiments.store import Store
from support.on_prefect import client, on_the_server, store_url

__all__ = ["client", "on_the_server", "store_url"]


@pytest.fixture(params=["sqlite", "postgresql"])
def any_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def any_store(any_store_url: str) -> Iterator[Store]:
    store = Store(any_store_url)
    yield store
    store.close()
