"""Arize AX as a Prefect block: saved, loaded, hidden, and named where a backend is asked for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import flow
from pydantic import SecretStr

from prefect_experiments import ArizeCredentials, Client, run_experiment
from support.arize import KEY, StandIn


@pytest.fixture
def name() -> str:
    return f"block-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def saved(arize: StandIn, name: str, prefect: None) -> Iterator[str]:
    """The slug of a saved block that describes the stand-in."""
    ArizeCredentials(
        api_key=SecretStr(KEY), space="default", api_host=arize.host, api_port=arize.port, api_scheme="http"
    ).save(name)
    yield f"arize-credentials/{name}"
    ArizeCredentials.delete(name)


def echo(input: Any) -> Any:
    return input


def test_it_is_called_by_its_library() -> None:
    assert ArizeCredentials.get_block_type_name() == "Arize AX Credentials"


def test_saved_and_loaded(saved: str, name: str, store_url: str) -> None:
    loaded = ArizeCredentials.load(name)
    assert loaded.api_key.get_secret_value() == KEY
    client = loaded.get_client(store_url=store_url)
    assert isinstance(client, Client)
    shown = [repr(loaded), str(loaded), loaded.model_dump_json(), repr(client), repr(client.remote)]
    assert not [text for text in shown if KEY in text]
    dataset = client.datasets.create_dataset(name=name, examples=[{"input": "a"}])
    assert len(Client(backend=saved, store_url=store_url).datasets.get_dataset(dataset=dataset.id)) == 1


@pytest.mark.thorough
def test_running_on_a_block(saved: str, name: str, store_url: str) -> None:
    @flow
    def nightly() -> Any:
        client = Client(backend=saved, store_url=store_url)
        rows = [{"input": name}]
        return run_experiment(dataset=rows, task=echo, client=client, print_summary=False).experiment_id

    there = Client(backend=saved, store_url=store_url).experiments.list_runs(experiment=nightly())
    assert [run.output for run in there] == [name]
