"""The asynchronous client's calls are those of the other one, awaited."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from prefect_experiments import AsyncClient
from prefect_experiments.client import asynchronous
from prefect_experiments.client.datasets import Datasets
from prefect_experiments.client.experiments import Experiments
from prefect_experiments.client.spans import Spans

PAIRS = (
    (asynchronous.AsyncDatasets, Datasets),
    (asynchronous.AsyncExperiments, Experiments),
    (asynchronous.AsyncSpans, Spans),
)
AWAITED = [
    pytest.param(awaited, name, id=f"{awaited.__name__}.{name}")
    for awaited, other in PAIRS
    for name, call in vars(other).items()
    if callable(call) and not name.startswith("_")
]


@pytest.mark.parametrize(("awaited", "name"), AWAITED)
def test_each_call_is_there_under_its_name(awaited: Any, name: str) -> None:
    found = getattr(awaited, name)
    assert (found.__name__, inspect.iscoroutinefunction(found)) == (name, True)


def test_a_call_is_made_of_the_synchronous_client() -> None:
    client = AsyncClient(backend="local", store_url="sqlite://")
    made = asyncio.run(client.datasets.create_dataset(name="d", examples=[{"input": 1}]))
    assert [dataset.id for dataset in client.sync.datasets.list_datasets()] == [made.id]
