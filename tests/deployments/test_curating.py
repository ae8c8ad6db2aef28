"""`curate-dataset` where there is nothing to curate: no server is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.flows.curate_dataset import curate_dataset
from prefect_experiments.orchestration.deployed.curating import PartOfDataset, Traces


@pytest.fixture(autouse=True)
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    return Client()


@pytest.mark.parametrize("sources", [{}, {"traces": Traces(), "part_of": PartOfDataset(dataset="d")}])
def test_examples_come_from_one_place(sources: dict[str, Any]) -> None:
    said = "examples come from traces or from a part of another dataset; give exactly one of them"
    with pytest.raises(InvalidSetting, match=said):
        asyncio.run(curate_dataset.fn(name="grown", **sources))


def test_where_there_is_nothing_to_add_nothing_is_made(client: Client) -> None:
    client.store.datasets.put("empty", [])
    ended = asyncio.run(curate_dataset.fn(name="grown", part_of=PartOfDataset(dataset="empty")))
    assert (ended.is_completed(), ended.message) == (True, "There was nothing to add to 'grown'.")
    assert [one.name for one in client.datasets.list_datasets()] == ["empty"]
