"""Prefect blocks: Prefect's own standard tests, saving and loading, and running on what they describe."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from phoenix.client import Client as PhoenixClient
from prefect import flow, get_client
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites import BlockStandardTestSuite
from prefect.types import SecretDict
from pydantic import SecretStr

from prefect_experiments import (
    ArizeCredentials,
    AsyncClient,
    Client,
    ExperimentStore,
    PhoenixCredentials,
    arun_experiment,
    run_experiment,
)
from prefect_experiments.cli.app import run as run_command
from prefect_experiments.errors import InvalidSetting
from support.fault_proxy import FaultProxy

SECRET = "sk-hidden-word-9b2e"
quiet: dict[str, Any] = {"print_summary": False}


@pytest.mark.parametrize("block", [PhoenixCredentials, ArizeCredentials, ExperimentStore])
class TestBlockStandards(BlockStandardTestSuite):
    @pytest.fixture
    def block(self, block: type[Block]) -> type[Block]:  # type: ignore[override]
        return block


REGISTERED = """
import sys
from prefect.plugins import load_prefect_collections
load_prefect_collections()
from prefect.blocks.core import Block
from prefect.utilities.dispatch import get_registry_for_type
print(*sorted(slug for slug, block in get_registry_for_type(Block).items() if "experiments" in block.__module__))
"""


@pytest.mark.thorough
def test_prefect_knows_them_by_the_entry_point() -> None:
    """In a process that has imported nothing of ours, as Prefect's command line and its workers do."""
    said = subprocess.run([sys.executable, "-c", REGISTERED], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["arize-credentials", "call-options", "experiment-store", "phoenix-credentials"]


@pytest.fixture
def saved(name: str, phoenix_url: str) -> Iterator[str]:
    """The slug of a saved block that describes the Phoenix, with a key and a header it does not need."""
    block = PhoenixCredentials(
        base_url=phoenix_url, api_key=SecretStr(SECRET), headers=SecretDict({"x-proxy": f"{SECRET}-proxy"})
    )
    block.save(name)
    yield f"phoenix-credentials/{name}"
    PhoenixCredentials.delete(name)


def echo(input: Any) -> Any:
    return input


def test_saved_and_loaded(saved: str, name: str, phoenix_url: str, store_url: str) -> None:
    loaded = PhoenixCredentials.load(name)
    assert loaded.base_url == phoenix_url
    assert loaded.api_key is not None
    assert loaded.api_key.get_secret_value() == SECRET
    assert loaded.headers is not None
    assert loaded.headers.get_secret_value() == {"x-proxy": f"{SECRET}-proxy"}
    client = loaded.get_client(store_url=store_url)
    assert isinstance(client, Client)
    assert client.datasets.list_datasets(limit=1) is not None
    shown = [repr(loaded), str(loaded), loaded.model_dump_json(), repr(client), repr(client.remote)]
    shown.append(repr(loaded.get_remote()))
    assert not [text for text in shown if SECRET in text]

    async def document() -> str:
        async with get_client() as api:
            found = await api.read_block_document_by_name(name, "phoenix-credentials", include_secrets=False)
            return json.dumps(found.model_dump(mode="json"))

    assert SECRET not in asyncio.run(document())


def test_a_store_in_a_block(name: str, store_url: str) -> None:
    ExperimentStore(url=SecretStr(store_url)).save(name)
    try:
        loaded = ExperimentStore.load(name)
        assert store_url not in repr(loaded)
        client = Client(store_url=loaded.url.get_secret_value())
        client.datasets.create_dataset(name=name, examples=[{"input": 1}])
        assert loaded.get_client().datasets.get_info(dataset=name).example_count == 1
    finally:
        ExperimentStore.delete(name)


@pytest.mark.thorough
def test_running_on_a_block(
    saved: str, name: str, store_url: str, official: PhoenixClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = Client(store_url=store_url)
    begin: dict[str, Any] = {"dataset": [{"input": {"n": name}}], "task": echo, **quiet}

    @flow
    def sync_flow() -> Any:
        return run_experiment(backend=saved, client=local, **begin).experiment_id

    async def notebook() -> list[str]:
        first = await arun_experiment(backend=saved, client=local, **begin)
        second = await AsyncClient(backend=saved, store_url=store_url).experiments.run_experiment(**begin)
        return [ran.experiment_id for ran in (first, second)]

    made = [sync_flow(), *asyncio.run(notebook())]
    monkeypatch.setenv("PREFECT_EXPERIMENTS_BACKEND", saved)
    made.append(run_experiment(**begin).experiment_id)
    assert len(set(made)) == 4
    for experiment_id in made:
        told = official.experiments.get_experiment(experiment_id=experiment_id)
        assert [run["output"] for run in told["task_runs"]] == [{"n": name}]


def test_key_and_headers_are_sent(name: str, phoenix_url: str, store_url: str) -> None:
    with FaultProxy(phoenix_url) as proxy:
        block = PhoenixCredentials(
            base_url=proxy.url, api_key=SecretStr(SECRET), headers=SecretDict({"x-proxy": f"{SECRET}-proxy"})
        )
        block.get_client(store_url=store_url).datasets.list_datasets(limit=1)
        sent = proxy.requests[0].headers
    assert (sent["authorization"], sent["x-proxy"]) == (f"Bearer {SECRET}", f"{SECRET}-proxy")


def test_at_the_command_line(saved: str, name: str, client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    client.datasets.create_dataset(name=name, examples=[{"input": 1}])
    capfd.readouterr()
    assert run_command(["datasets", "show", name, "--backend", saved, "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["dataset"]["name"] == name
    assert SECRET not in out + err
    assert run_command(["list", "--backend", f"{saved}-not"]) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: the block '{saved}-not' cannot be loaded")


def test_blocks_that_do_not_do(saved: str, name: str, store_url: str) -> None:
    ExperimentStore(url=SecretStr(f"sqlite:///{SECRET}")).save(name)
    try:
        for slug, said in (
            (f"{saved}-not", "cannot be loaded"),
            (f"nonsense-type/{name}", "cannot be loaded"),
            ("phoenix-credentials/", "cannot be loaded"),
            ("/", "cannot be loaded"),
            ("a/b/c", "cannot be loaded"),
            (f"experiment-store/{name}", "is a ExperimentStore, which describes no backend"),
        ):
            with pytest.raises(InvalidSetting, match=said) as caught:
                Client(backend=slug, store_url=store_url)
            assert "\n" not in str(caught.value)
            assert SECRET not in str(caught.value)
            assert slug in str(caught.value)
    finally:
        ExperimentStore.delete(name)
