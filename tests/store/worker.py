"""What the tests of several processes start, as ``python worker.py COMMAND ...``.

open                          for each URL that comes in on standard input: open it, answer
record URL EXPERIMENT COUNT   write that many runs and a verdict on each
record-slowly ...             the same, and print each key when it is durable
"""

from __future__ import annotations

import asyncio
import sys

from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.store import Recorder, Store

ABREAST = 20


def open_each() -> None:
    for url in sys.stdin:
        store = Store(url.strip())
        print(f"opened, {len(store.datasets.page()[0])} datasets", flush=True)
        store.close()


async def record(url: str, experiment_id: str, count: int, *, slowly: bool) -> None:
    store = Store(url)
    async with Recorder(store.database, experiment_id) as recorder:

        async def one(position: int) -> None:
            times = (1_800_000_000.0, 1_800_000_001.0)
            await recorder.write_run(RunRecord(position, 1, f"ex-{position}", f'"{position}"', None, *times))
            if slowly:
                print(position, flush=True)
            given = ("exact", "exact", "CODE", "a" * 64, position / count, None, None, None, None)
            await recorder.write_evaluations([EvaluationRecord(position, 1, *given, *times)])

        for start in range(0, count, ABREAST):
            await asyncio.gather(*(one(position) for position in range(start, min(start + ABREAST, count))))
    store.close()


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "open":
        open_each()
    else:
        url, experiment_id, count = arguments
        print("ready", flush=True)
        sys.stdin.readline()
        asyncio.run(record(url, experiment_id, int(count), slowly=command == "record-slowly"))
