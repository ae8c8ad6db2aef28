"""Adapter of this package for the peers' benchmark: the whole flow call on a durable store.

``PREFECT_API_URL`` must name a server that is running already.
"""

import os
import tempfile
import time

os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
t = time.perf_counter()
from common import TASKS, ev_equal, ev_len, main, rows  # noqa: E402

from prefect_experiments import Client, run_experiment  # noqa: E402

imp = time.perf_counter() - t


def equal(output, expected):
    return ev_equal(output, expected)


def length(output):
    return ev_len(output)


def run(n, task, conc):
    with tempfile.TemporaryDirectory() as folder:
        client = Client(store_url=f"sqlite:///{folder}/store.db")
        examples = [{"id": r["id"], "input": r["q"], "output": r["a"]} for r in rows(n)]
        ran = run_experiment(
            dataset=examples,
            task=TASKS[task],
            evaluators=[equal, length],
            concurrency=conc,
            print_summary=False,
            client=client,
        )
        return min(metric.n for metric in ran.summary.metrics.values())


main("prefect-experiments", run, imp)
