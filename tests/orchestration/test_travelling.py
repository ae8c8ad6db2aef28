"""What calls give back goes into pickles and copies, and so into other processes and Prefect's results."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from prefect import flow, task
from prefect.cache_policies import INPUTS
from prefect.serializers import JSONSerializer
from prefect.task_runners import ProcessPoolTaskRunner
from pydantic import TypeAdapter, ValidationError

from prefect_experiments import AsyncClient, Client, RanExperiment, log_experiment, run_experiment
from prefect_experiments.analysis.gate import Gate

ROWS = [{"id": f"e{n}", "input": n, "output": n, "metadata": {"n": n}} for n in range(5)]
KEY = "a-key-that-nobody-may-see"

WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "cloudpickle": lambda value: pickle.loads(cloudpickle.dumps(value)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "json": lambda value: JSONSerializer().loads(JSONSerializer().dumps(value)),
    "model": lambda value: TypeAdapter(type(value)).validate_json(TypeAdapter(type(value)).dump_json(value)),
}
ways = pytest.mark.parametrize("way", WAYS)


def same(input: int) -> int:
    return input


def right(output: int, expected: int) -> bool:
    return output == expected


def ran_with(client: Client, **more: Any) -> RanExperiment:
    return run_experiment(dataset=ROWS, task=same, evaluators=[right], client=client, print_summary=False, **more)


@pytest.mark.mostly_slow(quick=2)
@ways
@pytest.mark.parametrize("store_url", ["sqlite://", "file"])
def test_an_experiment(way: str, store_url: str, tmp_path: Path) -> None:
    client = Client(store_url=store_url if store_url != "file" else f"sqlite:///{tmp_path / 'store.db'}")
    base = ran_with(client)
    ran = ran_with(client, baseline=base, gate={"metrics": {"right": {"min": 0.5}}})
    there = WAYS[way](ran)
    assert type(there) is RanExperiment
    assert there == ran
    assert there.to_dict() == ran.to_dict()
    assert there.verdict == ran.verdict
    assert there.comparison == ran.comparison
    assert Gate.parse({"metrics": {"right": {"min": 0.5}}}).judge(there.comparison) == ran.verdict
    assert there.task_runs == ran.task_runs
    assert there.evaluation_runs == ran.evaluation_runs
    assert there.to_dataframe().equals(ran.to_dataframe())
    assert (there.ran, there.reused, there.evaluated) == (ran.ran, ran.reused, ran.evaluated)


@pytest.mark.thorough
@ways
def test_what_was_logged(way: str, client: Client) -> None:
    client.datasets.create_dataset(name="d", examples=ROWS)
    runs = [{"example_id": f"e{n}", "output": n} for n in range(5)]
    logged = log_experiment(name="l", dataset="d", experiment_runs=runs, client=client, print_summary=False)
    there = WAYS[way](logged)
    assert there.report == logged.report
    assert there.id == logged.id
    assert there.to_dict() == logged.to_dict()


@pytest.mark.thorough
@ways
def test_lists(way: str, client: Client) -> None:
    ran_with(client, experiment_name="listed")
    dataset = client.datasets.list_datasets().datasets[0].id
    for page in (
        client.datasets.list_datasets(),
        client.datasets.list_examples(dataset=dataset),
        client.experiments.list(),
        client.experiments.list_runs(experiment="listed"),
    ):
        there = WAYS[way](page)
        assert type(there) is type(page)
        assert there == page
        assert there.items == page.items
        assert there.pagination == page.pagination
        assert there.to_df().equals(page.to_df())
        assert there.to_dict() == page.to_dict()
    for one in (client.datasets.get_dataset(dataset=dataset), client.experiments.get(experiment="listed")):
        assert WAYS[way](one) == one


@ways
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_is_complete_where_it_was_made(way: str, kind: Any, store_url: str) -> None:
    client = kind(backend="arize", api_key=KEY, space="s", api_host="ax.example.com", store_url=store_url)
    there = WAYS[way](client)
    assert type(there) is kind
    assert there.backend == "arize"
    assert there.store is client.store
    assert there.remote is client.remote
    assert there.datasets is not None


@pytest.mark.parametrize("way", ["pickle", "cloudpickle", "copy", "deepcopy"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_calls_of_a_client(way: str, kind: Any, store_url: str) -> None:
    """Whoever passes `client.datasets` on passes the client on."""
    client = kind(backend="arize", api_key=KEY, space="s", api_host="ax.example.com", store_url=store_url)
    for name in ("datasets", "experiments", "spans"):
        there = WAYS[way](getattr(client, name))
        assert type(there) is type(getattr(client, name))
        there = getattr(there, "sync", there)
        assert there.client.store is client.store
        assert there.client.remote is client.remote


@pytest.mark.thorough
def test_a_client_travels_without_its_secrets(store_url: str, tmp_path: Path) -> None:
    client = Client(backend="arize", api_key=KEY, space="s", api_host="ax.example.com", store_url=store_url)
    phoenix = Client(backend="phoenix", base_url="http://p.example.com:6006", api_key=KEY, headers={"x-token": KEY})
    pickled = pickle.dumps([client, phoenix])
    assert KEY.encode() not in pickled
    assert KEY.encode() not in JSONSerializer().dumps([client, phoenix])
    (tmp_path / "clients").write_bytes(pickled)
    read = (
        "import pickle, pathlib, sys;"
        "ax, phoenix = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes());"
        "print(ax.remote.target, phoenix.remote.target, ax.store.shown_url)"
    )
    told = subprocess.run(
        [sys.executable, "-c", read, str(tmp_path / "clients")], capture_output=True, text=True, check=False,
        env={"ARIZE_API_KEY": KEY, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert told.stdout.split() == [
        str(client.remote and client.remote.target).split()[0],
        *str(client.remote and client.remote.target).split()[1:],
        *str(phoenix.remote and phoenix.remote.target).split(),
        client.store.shown_url,
    ], told.stderr


calls: list[int] = []


def counted(input: int) -> int:
    calls.append(input)
    return input


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("serializer", ["pickle", "json", "compressed/json"])
def test_a_cached_prefect_task_makes_the_experiment_once(serializer: str, client: Client, tmp_path: Path) -> None:
    calls.clear()

    @task(persist_result=True, cache_policy=INPUTS, result_storage=tmp_path / "results", result_serializer=serializer)
    def evaluated(name: str) -> RanExperiment:
        return run_experiment(dataset=ROWS, task=counted, experiment_name=name, client=client, print_summary=False)

    @flow
    def nightly() -> list[RanExperiment]:
        return [evaluated("once"), evaluated("once")]

    first, second = nightly()
    assert len(calls) == 5
    assert first.experiment_id == second.experiment_id
    assert [run.output for run in second.task_runs] == list(range(5))
    assert len(client.experiments.list()) == 1


@pytest.mark.thorough
def test_json_holds_what_rows_may_be_called(client: Client) -> None:
    """Prefect's serializer takes an object with the key ``__class__`` for one of its own."""
    rows = [{"id": "e", "input": {"__class__": "os.system", "data": "true", "n": float("1e300")}}]
    memory = Client(store_url="sqlite://")
    for where in (client, memory):
        ran = run_experiment(dataset=rows, task=same, client=where, print_summary=False)
        there = WAYS["json"]({"ran": [ran]})["ran"][0]
        assert there == ran
        assert there.examples == ran.examples
        assert there.task_runs[0].output == rows[0]["input"]


@pytest.mark.parametrize("text", ["", "no JSON", "{}", "[]", '{"items": []}'])
def test_json_that_tells_of_no_experiment(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(RanExperiment).validate_python(text)
    if text.startswith("{"):
        assert "this is not what a RanExperiment is in JSON" in str(refused.value)


def test_what_is_neither_an_experiment_nor_text() -> None:
    with pytest.raises(ValidationError, match="a RanExperiment, or the text that JSON has of one, is wanted"):
        TypeAdapter(RanExperiment).validate_python(3)


@task
def in_a_process(store_url: str) -> RanExperiment:
    client = Client(store_url=store_url)
    return run_experiment(dataset=ROWS, task=same, evaluators=[right], client=client, print_summary=False)


@pytest.mark.slow
def test_a_process_may_return_one(store_url: str) -> None:
    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def elsewhere() -> RanExperiment:
        return in_a_process.submit(store_url).result()  # type: ignore[no-any-return]

    ran = elsewhere()
    assert len(ran.task_runs) == 5
    assert ran.summary.metrics["right"].mean == 1.0
