"""How fast an experiment gets into AX: this package and AX's own `run()`, in one run onto one stand-in for AX.

    python tests/benchmarks/log_to_arize.py [--examples 1000] [--official 200]

An async task of 10 ms, two evaluators, ten calls at once, and a collector over gRPC that answers at once, which the
official `run()` cannot do without. It takes 500 rows at most without Arrow Flight, and its time goes up with their
number, so it is measured on fewer. Ours sends no traces, as it does unless asked; `--traces` has it send them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.arize import KEY, VENV, StandIn, official_client, stand_in
from support.prefect_server import prefect_server

CONCURRENCY = 10

THEIRS = """
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
                       concurrency=concurrency, force_http=True)
result = time.monotonic() - began
"""


async def task(dataset_row: Any) -> str:
    await asyncio.sleep(0.01)
    return str(dataset_row["input"])


def right(output: str, dataset_row: Any) -> bool:
    return output == str(dataset_row["input"])


def near(output: str) -> float:
    return 0.5


def ours(ax: StandIn, n: int, folder: str, *, traces: bool) -> float:
    from prefect_experiments import Client

    where = {"api_host": ax.host, "api_port": ax.port, "api_scheme": "http"}
    client = Client(
        backend="arize", api_key=KEY, space="default", store_url=f"sqlite:///{folder}/store.db", traces=traces, **where
    )
    client.datasets.create_dataset(name="thousand", examples=[{"input": i, "output": i} for i in range(n)])
    # What is imported with the first experiment is not counted; the official client has imported its own as well.
    client.experiments.run_experiment(dataset=[{"input": 1}], task=task, dry_run=1, print_summary=False)
    from prefect_experiments.orchestration import experiment_flow  # noqa: F401

    began = time.perf_counter()
    ran = client.experiments.run_experiment(
        dataset="thousand",
        experiment_name="ours",
        task=task,
        evaluators=[right, near],
        concurrency=CONCURRENCY,
        print_summary=False,
    )
    seconds = time.perf_counter() - began
    assert not ran.waiting
    runs = ax.experiment("ours")["runs"]
    assert len(runs) == n
    assert all(run["eval.near.score"] == 0.5 and run["eval.right.label"] == "True" for run in runs)
    return n / seconds


def official(ax: StandIn, n: int) -> float:
    from prefect_experiments import Client

    where = {"api_host": ax.host, "api_port": ax.port, "api_scheme": "http"}
    client = Client(backend="arize", api_key=KEY, space="default", **where)
    client.datasets.create_dataset(name="some", examples=[{"input": i, "output": i} for i in range(n)])
    with official_client(VENV, ax) as theirs:
        seconds = theirs(THEIRS, concurrency=CONCURRENCY)
    assert len(ax.experiment("theirs")["runs"]) == n
    return n / float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--official", type=int, default=200, help="examples for AX's own client, at most 500")
    parser.add_argument("--traces", action="store_true")
    given = parser.parse_args()
    with stand_in() as ax, prefect_server() as api, tempfile.TemporaryDirectory() as folder:
        collector = {"ARIZE_OTLP_HOST": ax.host, "ARIZE_OTLP_PORT": str(ax.port), "ARIZE_OTLP_SCHEME": "http"}
        os.environ.update(PREFECT_API_URL=api, PREFECT_LOGGING_LEVEL="ERROR", **collector)
        os.environ["PREFECT_EXPERIMENTS_STORE_URL"] = f"sqlite:///{folder}/other.db"
        theirs = official(ax, given.official)
        rate = ours(ax, given.examples, folder, traces=given.traces)
        print(f"on a stand-in for AX, 2 evaluators, async task of 10 ms, concurrency {CONCURRENCY}:")
        print(f"official run()  {theirs:7.1f} rows/s over {given.official}")
        print(f"this package    {rate:7.1f} rows/s over {given.examples}: {rate / theirs:.0f} x as fast")


if __name__ == "__main__":
    main()
