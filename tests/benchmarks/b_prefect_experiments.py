"""This package on the peers' workload: the whole flow call, on a durable store.

``PREFECT_API_URL`` must name a Prefect server that is running already. Prints a second line,
``SPAN {json}``: the seconds from the task's first call to the end of its last.
"""

from __future__ import annotations

import json
import os
import tempfile
import time

os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
began = time.perf_counter()
from common import TASKS, ev_equal, ev_len, main, rows

from prefect_experiments import Client, run_experiment

importing = time.perf_counter() - began
moments: list[float] = []


def equal(output: str, expected: str) -> bool:
    return ev_equal(output, expected)


def length(output: str) -> float:
    return ev_len(output)


def run(n: int, task: str, conc: int) -> int:
    call = TASKS[task]

    async def timed(input: str) -> str:
        moments.append(time.perf_counter())
        output = await call(input)
        moments.append(time.perf_counter())
        return output

    with tempfile.TemporaryDirectory() as folder:
        ran = run_experiment(
            dataset=[{"id": r["id"], "input": r["q"], "output": r["a"]} for r in rows(n)],
            task=timed,
            evaluators=[equal, length],
            concurrency=conc,
            print_summary=False,
            client=Client(store_url=f"sqlite:///{folder}/experiments.db"),
        )
        return min(metric.n for metric in ran.summary.metrics.values())


main("prefect-experiments", run, importing)
print("SPAN " + json.dumps({"span_s": round(max(moments) - min(moments), 3)}))
