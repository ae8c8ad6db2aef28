"""A real Phoenix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefect_experiments.backends import Remote, open_remote
from prefect_experiments.testing import BackendSuite
from support.patience import http
from support.servers import free_port

KEY, HEADER = "sk-hidden-word-9b2e", "tenant-hidden-word"


@pytest.mark.thorough
class TestPhoenix(BackendSuite):
    @pytest.fixture
    def remote(self, phoenix_url: str, name: str) -> Iterator[Remote]:
        opened = open_remote("phoenix", base_url=phoenix_url, api_key=KEY, headers={"x-tenant": HEADER})
        assert opened is not None
        yield opened
        for dataset in http.get(f"{phoenix_url}/v1/datasets", params={"limit": 100}).json()["data"]:
            if dataset["name"].startswith(name):
                http.delete(f"{phoenix_url}/v1/datasets/{dataset['id']}")

    @pytest.fixture
    def wrong(self) -> Remote | None:
        return open_remote("phoenix", base_url=f"http://127.0.0.1:{free_port()}", api_key=KEY)

    @pytest.fixture
    def secrets(self) -> list[str]:
        return [KEY, HEADER]
