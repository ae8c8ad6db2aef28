"""The fixtures that the suites share, and what they make experiments of."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.backends import Capabilities, Remote
from prefect_experiments.client import Client
from prefect_experiments.models import Dataset, Experiment

STORE = Capabilities()
"""What the store can do, where it is held to a suite."""

EXAMPLES: Sequence[Mapping[str, Any]] = [
    {"id": f"e{n}", "input": {"n": n}, "output": {"double": 2 * n}, "metadata": {"even": n % 2 == 0}} for n in range(4)
]


class Conditions:
    """What a suite runs in. `remote` has to be given, the others can be.

    A backend that tests share is no hindrance: all names begin with `name`.
    """

    @pytest.fixture
    def remote(self) -> Remote | None:
        """The backend, with nothing in it or with what others have there; ``None`` for the store."""
        raise NotImplementedError("give a fixture `remote`: the backend")

    @pytest.fixture
    def wrong(self) -> Remote | None:
        """The same backend where there is none: at a wrong address, say."""
        return None

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """What `remote` and `wrong` were told that nobody may see, such as a key."""
        return ()

    @pytest.fixture
    def annotation(self) -> str:
        """The name of an annotation that the backend takes."""
        return "quality"

    @pytest.fixture
    def name(self) -> str:
        """What all names begin with, and no other thing in the backend has."""
        return f"suite-{uuid.uuid4().hex[:12]}"

    @pytest.fixture
    def client(self, remote: Remote | None, tmp_path: Path) -> Client:
        """On the backend, with a store of its own."""
        return _client(remote, tmp_path / "store.db")

    @pytest.fixture
    def offline(self, tmp_path: Path) -> Client:
        """On the same store, and on no backend."""
        return _client(None, tmp_path / "store.db")

    @pytest.fixture
    def elsewhere(self, remote: Remote | None, tmp_path: Path) -> Client:
        """Another machine's: on the same backend, with another store."""
        return _client(remote, tmp_path / "elsewhere.db")

    @pytest.fixture
    def can(self, remote: Remote | None) -> Capabilities:
        """What the backend can do."""
        return STORE if remote is None else remote.capabilities

    @pytest.fixture
    def dataset(self, client: Client, name: str) -> Dataset:
        """Four examples."""
        return client.datasets.create_dataset(name=name, examples=EXAMPLES)


def _client(remote: Remote | None, path: Path) -> Client:
    return Client(backend="local" if remote is None else remote, store_url=f"sqlite:///{path}")


def logged(client: Client, dataset: Dataset, name: str, **given: Any) -> Experiment:
    """An experiment with a run for each example: logged, for which no Prefect is needed."""
    rows = given.pop("rows", [{"example_id": e.id, "output": f"output of {e.id}"} for e in dataset.examples])
    return client.experiments.create(name=name, dataset=dataset, experiment_runs=rows, **given)
