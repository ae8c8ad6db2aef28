"""The process that `test_kill.py` kills: runs an experiment, or goes on with the one that is there.

usage: killed.py STORE_URL LOG EXAMPLES CONCURRENCY sync|async [GO]
With GO, no call from the twentieth on returns before there is a file of that name.
Each call of the task appends "call N" to the log, in one write that survives the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from prefect_experiments import Client

store_url, log, examples, concurrency, kind, *go = sys.argv[1:]
LOG = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
SECONDS = 0.02
HALTS_AT = 20


def sync_task(input: int) -> int:
    os.write(LOG, b"call %d\n" % input)
    time.sleep(SECONDS)
    return input * 2


async def async_task(input: int) -> int:
    os.write(LOG, b"call %d\n" % input)
    await asyncio.sleep(SECONDS)
    while go and input >= HALTS_AT and not Path(go[0]).exists():
        await asyncio.sleep(SECONDS)
    return input * 2


def doubled(input: int, output: int) -> bool:
    return output == 2 * input


def large(output: int) -> float:
    return float(output)


def main() -> None:
    client = Client(store_url=store_url)
    common = {
        "task": sync_task if kind == "sync" else async_task,
        "evaluators": [doubled, large],
        "concurrency": int(concurrency),
        "timeout": None if go else 60,
        "print_summary": False,
    }
    os.write(LOG, b"start\n")
    if len(client.experiments.list()):
        client.experiments.resume_experiment(experiment="latest", **common)
    else:
        rows = [{"id": f"e{n}", "input": n} for n in range(int(examples))]
        client.experiments.run_experiment(dataset=rows, batch_size=40, **common)
    os.write(LOG, b"end\n")


if __name__ == "__main__":
    main()
