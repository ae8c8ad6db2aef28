"""A worker of an experiment that runs with ``task_runner="deployment:NAME"``, which names a deployment of this flow.

The experiment starts as many flow runs of it as it has workers. What each is to do stands in the store, which must be
the same PostgreSQL for all of them (``PREFECT_EXPERIMENTS_STORE_URL``).
"""

from __future__ import annotations

from typing import Any

from prefect import flow


@flow(
    name="worker",
    flow_run_name="worker {worker} of {experiment}",
    description="Make a share of the calls of an experiment that runs elsewhere. Started by that, not by hand.",
    retries=0,  # whoever leads starts another one
    persist_result=False,
)
async def worker(experiment: str, worker: int) -> Any:
    """Make a share of an experiment's calls, as the store says.

    Args:
        experiment: The experiment's id.
        worker: The worker's number, from 1.
    """
    from prefect_experiments.orchestration.workers.deployed import do_deployed

    return await do_deployed(experiment, worker)
