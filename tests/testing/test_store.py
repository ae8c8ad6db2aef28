"""The store, as far as it is a backend."""

from __future__ import annotations

import pytest

from prefect_experiments.testing import DatasetSuite, ExperimentSuite


class TestStore(DatasetSuite, ExperimentSuite):
    @pytest.fixture
    def remote(self) -> None:
        return None
