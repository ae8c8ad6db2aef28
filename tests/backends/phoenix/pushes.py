"""What the tests of pushing share: what must be in Phoenix in the end, and what Prefect was told."""

from __future__ import annotations

import asyncio

from phoenix.client import Client as PhoenixClient
from prefect import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun

from prefect_experiments import RanExperiment
from support.fault_proxy import Request

from .doubling import double, options, phoenix, rows
from .referee import assert_same, counts, their_evaluator_errors

__all__ = ["assert_whole", "double", "is_push", "logs_of", "options", "phoenix", "rows"]


def is_push(request: Request) -> bool:
    """Whether it is a result on its way."""
    return request.method == "POST" and request.path.endswith(("/runs", "/experiment_evaluations"))


def assert_whole(official: PhoenixClient, ran: RanExperiment, count: int) -> None:
    """All of `double`'s runs and all verdicts on them are in Phoenix, once, and as they are here."""
    assert ran.waiting == 0
    url = str(official._client.base_url).rstrip("/")
    failed = int(count > 7)
    assert counts(url, ran.experiment_id) == (count - failed, failed, 0)
    told = official.experiments.get_experiment(experiment_id=ran.experiment_id)
    assert len(told["task_runs"]) == count
    assert len(told["evaluation_runs"]) == 2 * (count - failed) - 1
    assert their_evaluator_errors(url, ran.experiment_id) == [("right", "ZeroDivisionError: cannot say")]
    assert_same(official, ran)


def logs_of(run: FlowRun, until: str) -> list[str]:
    """What a flow run and its Prefect tasks have logged, once there is a line with a text; Prefect sends it late."""

    async def read() -> list[str]:
        async with get_client() as api:
            lines: list[str] = []
            for _ in range(100):
                of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
                lines = [log.message for log in await api.read_logs(of_run, limit=200, offset=0)]
                if any(until in line for line in lines):
                    break
                await asyncio.sleep(0.1)
            return lines

    return asyncio.run(read())
