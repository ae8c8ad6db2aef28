"""What every backend has to do, as tests: whoever writes one holds it to them. Needs pytest.

    from prefect_experiments.testing import BackendSuite

    class TestMine(BackendSuite):
        @pytest.fixture
        def remote(self, tmp_path):
            return MyBackend(MySettings(path=str(tmp_path)))

Further fixtures can be given: see `Conditions`. What a backend says in its `Capabilities` is asked of it, and nothing
that it says it cannot do.
"""

import pytest

pytest.register_assert_rewrite(
    "prefect_experiments.testing.connection",
    "prefect_experiments.testing.datasets",
    "prefect_experiments.testing.experiments",
    "prefect_experiments.testing.results",
)

from prefect_experiments.testing.conditions import Conditions  # noqa: E402
from prefect_experiments.testing.connection import ConnectionSuite  # noqa: E402
from prefect_experiments.testing.datasets import DatasetSuite  # noqa: E402
from prefect_experiments.testing.experiments import ExperimentSuite  # noqa: E402
from prefect_experiments.testing.results import ResultSuite  # noqa: E402

__all__ = ["BackendSuite", "Conditions", "ConnectionSuite", "DatasetSuite", "ExperimentSuite", "ResultSuite"]


class BackendSuite(ConnectionSuite, DatasetSuite, ExperimentSuite, ResultSuite):
    """All of it: for a backend. The store, which is none, is held to `DatasetSuite` and `ExperimentSuite`."""
