"""The Prefect task that a worker is."""

from __future__ import annotations

from typing import Any

from prefect import task


@task(
    name="worker",
    task_run_name="worker {worker} of {of}",
    description="Make a share of the experiment's calls.",
    retries=0,  # whoever leads starts another one
    persist_result=False,
)
def worker_task(worker: int, of: int, part: str) -> Any:
    """Do a worker's part; gives what it has done."""
    # One import and one call: task runners pickle this with all that it names.
    from prefect_experiments.orchestration.workers.body import do

    return do(part)
