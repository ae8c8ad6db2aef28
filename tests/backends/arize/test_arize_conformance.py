"""What every backend has to do, done by a stand-in for Arize AX (`support/arize_stand_in`): it is not AX."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.backends import Remote, open_remote, patience
from prefect_experiments.backends.arize import pushing
from prefect_experiments.testing import BackendSuite
from support.arize import KEY, StandIn
from support.servers import free_port


class TestArize(BackendSuite):
    @pytest.fixture
    def remote(self, arize: StandIn, monkeypatch: pytest.MonkeyPatch) -> Remote | None:
        monkeypatch.setattr(pushing, "LINGER_S", 0.05)
        monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.01)
        return opened(arize.port, space="default", traces=True)

    @pytest.fixture
    def wrong(self) -> Remote | None:
        return opened(free_port())

    @pytest.fixture
    def secrets(self) -> list[str]:
        return [KEY]

    @pytest.fixture
    def annotation(self, arize: StandIn) -> str:
        arize.allow_annotation("quality")
        return "quality"


def opened(port: int, **options: Any) -> Remote | None:
    return open_remote("arize", api_key=KEY, api_host="127.0.0.1", api_port=port, api_scheme="http", **options)
