"""Every test here runs on a real Prefect server and a store of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_experiments.store import Store
from support.on_prefect import client, on_the_server, store_url
from support.third_party import folder_installed

__all__ = ["client", "folder_installed", "on_the_server", "store_url"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield found
    found.close()
