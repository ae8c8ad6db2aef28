"""A process that calls a server for an experiment until it is ended, in step with others or not.

usage: in_step.py STORE_URL EXPERIMENT_ID SERVER_URL NAME CALLS_AT_ONCE shared|apart
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import httpx

from prefect_experiments.engine import CallPolicy, Engine, RunItem
from prefect_experiments.experiment.limits_in_step import limits_in_step
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.store import Store
from prefect_experiments.tasks import resolve_task
from support.patience import PATIENCE_S


class Nowhere:
    """Keeps no results."""

    async def write_run(self, row: RunRecord) -> None:
        pass

    async def write_evaluations(self, rows: Sequence[EvaluationRecord]) -> None:
        pass

    async def flush(self) -> None:
        pass


async def main(store_url: str, experiment_id: str, url: str, name: str, at_once: str, shared: str) -> None:
    client = httpx.AsyncClient(timeout=PATIENCE_S)

    async def ask(input: int) -> str:
        answer = await client.get(f"{url}/{name}")
        answer.raise_for_status()
        return answer.text

    engine = Engine(resolve_task(ask), sink=Nowhere(), concurrency=int(at_once), policy=CallPolicy())
    items = (RunItem(number, f"e{number}", 1, str(number), None, "{}") for number in range(1_000_000_000))
    store = Store(store_url)
    async with limits_in_step(store, experiment_id, engine.limits, shared=shared == "shared"):
        while True:
            await engine.run([next(items) for _ in range(2000)])


asyncio.run(main(*sys.argv[1:]))
