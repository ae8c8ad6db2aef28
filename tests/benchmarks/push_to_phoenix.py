"""How fast results reach Phoenix: this package, Phoenix's own client, and bare requests, in one run on one server.

    python tests/benchmarks/push_to_phoenix.py [--examples 1000] [--official 1000]

Each side makes one experiment with two evaluators and a task that returns at once, with traces as it
makes them by itself. The bare requests are those of the first experiment again, over four
connections that are kept alive, with nothing around them. Fewer do not do it: Phoenix's server (20.26) takes one
run in a request and one evaluation, has no route for several, and no GraphQL mutation that adds either.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx

from support.phoenix_server import phoenix_server
from support.prefect_server import prefect_server

CONNECTIONS = 4


async def task(input: dict[str, Any]) -> dict[str, Any]:
    return {"answer": input["question"].upper()}


def right(output: dict[str, Any], expected: dict[str, Any]) -> bool:
    return output == expected


def wordy(output: dict[str, Any]) -> float:
    return min(1.0, len(output["answer"]) / 100)


def examples(n: int) -> list[dict[str, Any]]:
    rows = [f"question number {i}: what is it that is asked here?" for i in range(n)]
    return [{"id": f"e{i}", "input": {"question": q}, "output": {"answer": q.upper()}} for i, q in enumerate(rows)]


def ours(url: str, n: int, folder: str) -> tuple[float, str]:
    from prefect_experiments import Client

    client = Client(backend="phoenix", base_url=url, store_url=f"sqlite:///{folder}/store.db")
    name = f"ours-{uuid.uuid4().hex[:6]}"
    client.datasets.create_dataset(name=name, examples=examples(n))
    client.experiments.run_experiment(
        dataset=name, task=task, evaluators=[right, wordy], sample=None, dry_run=1, print_summary=False
    )
    began = time.perf_counter()
    ran = client.experiments.run_experiment(
        dataset=name, task=task, evaluators=[right, wordy], concurrency=50, print_summary=False
    )
    assert not ran.waiting
    return n / (time.perf_counter() - began), ran.experiment_id


def official(url: str, n: int) -> float:
    from phoenix.client import AsyncClient

    async def run() -> float:
        client = AsyncClient(base_url=url)
        rows = examples(n)
        dataset = await client.datasets.create_dataset(
            name=f"official-{uuid.uuid4().hex[:6]}",
            inputs=[row["input"] for row in rows],
            outputs=[row["output"] for row in rows],
        )
        began = time.perf_counter()
        await client.experiments.run_experiment(
            dataset=dataset, task=task, evaluators=[right, wordy], concurrency=50, print_summary=False
        )
        return n / (time.perf_counter() - began)

    return asyncio.run(run())


async def bare(url: str, experiment_id: str) -> float:
    """The requests of an experiment again, onto a new one of the same dataset."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        found = (await client.get(f"/v1/experiments/{experiment_id}")).json()["data"]
        results = (await client.get(f"/v1/experiments/{experiment_id}/json")).json()
        path = f"/v1/datasets/{found['dataset_id']}/experiments"
        new = (await client.post(path, json={"name": "bare", "version_id": found["dataset_version_id"]})).json()["data"]
        queue = list(results)

        async def lane() -> None:
            while queue:
                row = queue.pop()
                body = {
                    "dataset_example_id": row["example_id"],
                    **{
                        name: row[name]
                        for name in ("output", "repetition_number", "start_time", "end_time", "trace_id")
                    },
                }
                answer = (await client.post(f"/v1/experiments/{new['id']}/runs", json=body)).raise_for_status()
                run_id = answer.json()["data"]["id"]
                for note in row["annotations"]:
                    verdict = {
                        "experiment_run_id": run_id,
                        **{
                            name: note[name]
                            for name in ("name", "annotator_kind", "start_time", "end_time", "trace_id")
                        },
                        "result": {name: note[name] for name in ("score", "label", "explanation")},
                    }
                    (await client.post("/v1/experiment_evaluations", json=verdict)).raise_for_status()

        began = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(CONNECTIONS)))
        return len(results) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--official", type=int, default=1000, help="examples for Phoenix's own client; 0 leaves it out")
    given = parser.parse_args()
    with phoenix_server() as (url, _), prefect_server() as api, tempfile.TemporaryDirectory() as folder:
        os.environ.update(PREFECT_API_URL=api, PREFECT_LOGGING_LEVEL="ERROR", PHOENIX_BASE_URL=url)
        rate, experiment_id = ours(url, given.examples, folder)
        time.sleep(10)  # the traces follow
        floor = asyncio.run(bare(url, experiment_id))
        print(f"this package   {rate:6.1f} examples/s  {rate / floor:.2f} x bare requests")
        print(f"bare requests  {floor:6.1f} examples/s, {CONNECTIONS} connections")
        if given.official:
            theirs = official(url, given.official)
            print(f"Phoenix's own  {theirs:6.1f} examples/s  this package is {rate / theirs:.2f} x as fast")


if __name__ == "__main__":
    main()
