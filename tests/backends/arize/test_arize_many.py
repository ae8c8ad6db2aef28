"""25,000 rows onto a stand-in for AX and back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from prefect_experiments import Client, run_experiment
from support.arize import Official, StandIn

from .conftest import ours

COUNT = 25_000


@pytest.mark.slow
@pytest.mark.parametrize("storm", [False, True], ids=["calm", "429-storm"])
def test_25000_rows(
    arize: StandIn, client: Client, elsewhere: Client, official: Official, storm: bool, record_property: Any
) -> None:
    began = time.monotonic()
    client.datasets.create_dataset(name="many", examples=[{"id": f"e{n}", "input": {"n": n}} for n in range(COUNT)])
    made = time.monotonic()
    if storm:
        arize.set(rate=[5, 1.0])
    rows = [
        {
            "example_id": f"e{n}",
            "output": {"n": n},
            "eval.right.score": n % 2,
            "eval.near.label": "yes",
            "latency_ms": 1.5,
        }
        for n in range(COUNT)
    ]
    logged = client.experiments.create(name="first", dataset="many", experiment_runs=rows)
    pushed = time.monotonic()
    arize.set(rate=None)
    there = arize.experiment("first")["runs"]
    assert len(there) == len({run["example_id"] for run in there}) == COUNT
    bodies = [body["experiment_runs"] for body in arize.bodies(r"/v2/experiments(/[^/]+/runs)?$")]
    assert max(map(len, bodies)) == 1000
    read = time.monotonic()
    found = elsewhere.experiments.list_runs(experiment="first", all=True)
    pulled = time.monotonic()
    assert {run.example_id: run.output["n"] for run in found} == {f"e{n}": n for n in range(COUNT)}
    frame = found.to_df()
    assert (frame["eval.right.score"].sum(), (frame["eval.near.label"] == "yes").sum()) == (COUNT // 2, COUNT)
    assert len(official.runs(logged.id)) == COUNT
    for name, seconds in {
        "create a dataset": made - began,
        "log and push": pushed - made,
        "read from another machine": pulled - read,
    }.items():
        record_property(f"stand-in: {COUNT} rows, {name}", round(seconds, 1))
        print(f"stand-in: {COUNT} rows, {name}: {seconds:.1f} s")
    assert len(ours(arize).experiments.list(dataset="many")) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("prefect")
def test_speed_beside_the_official_run(arize: StandIn, client: Client, official: Official) -> None:
    """A thousand rows with two evaluators, beside the official `run()` with a collector that answers at once.

    That takes 500 rows at most without gRPC, and its time goes up with their number; so its speed is measured on fewer.
    """
    client.datasets.create_dataset(name="thousand", examples=[{"input": n, "output": n} for n in range(1000)])
    client.datasets.create_dataset(name="some", examples=[{"input": n, "output": n} for n in range(150)])
    their_seconds = official("""
import asyncio, time
async def task(dataset_row):
    await asyncio.sleep(0.01)
    return str(dataset_row["input"])
def right(output, dataset_row):
    return output == str(dataset_row["input"])
def near(output):
    return 0.5
began = time.monotonic()
client.experiments.run(name="theirs", dataset="some", space="default", task=task, evaluators=[right, near],
                       concurrency=10, force_http=True)
result = time.monotonic() - began
""")

    async def task(dataset_row: Any) -> str:
        await asyncio.sleep(0.01)
        return str(dataset_row["input"])

    def right(output: Any, dataset_row: Any) -> bool:
        return bool(output == str(dataset_row["input"]))

    def near(output: Any) -> float:
        return 0.5

    began = time.monotonic()
    ran = run_experiment(
        dataset="thousand", experiment_name="ours", task=task, evaluators=[right, near], concurrency=10, client=client
    )
    our_seconds = time.monotonic() - began
    assert (ran.waiting, len(arize.experiment("ours")["runs"])) == (0, 1000)
    theirs, ours_ = 150 / their_seconds, 1000 / our_seconds
    print(f"stand-in, rows a second: official run() {theirs:.1f}, ours {ours_:.0f}: {ours_ / theirs:.0f} times")
    assert ours_ >= 4 * theirs  # a hundred times on a quiet machine
