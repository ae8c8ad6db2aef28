"""What Prefect's server has of an experiment's flow run."""

from __future__ import annotations

import asyncio
from uuid import UUID

from prefect import get_client, task
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
    TaskRunFilter,
    TaskRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, TaskRun

from support.patience import wait_for


def flow_run_of(experiment: str, dataset: str = "") -> FlowRun:
    """The only flow run of an experiment of this name; on the server that all tests share there are others."""
    return flow_run_named(f"{experiment} on {dataset}")


def flow_run_named(part: str) -> FlowRun:
    """The only flow run that has this in its name."""

    async def read() -> FlowRun:
        async with get_client() as api:
            named = FlowRunFilter(name=FlowRunFilterName(like_=part))
            [run] = await api.read_flow_runs(flow_run_filter=named, limit=2)
            return run

    return asyncio.run(read())


def task_runs_of(flow_run: UUID) -> list[TaskRun]:
    """The task runs that this process, and those that have ended, have told the server of."""
    until_recorded()
    return _task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))


def until_recorded() -> None:
    """Wait until the server has recorded the task runs that it was told of: one that it is told of after them."""

    @task
    def last() -> None: ...

    found = last(return_state=True).state_details.task_run_id
    assert found is not None
    wait_for(lambda: _task_runs(task_run_filter=TaskRunFilter(id=TaskRunFilterId(any_=[found]))), "the last task run")


def _task_runs(**filters: FlowRunFilter | TaskRunFilter) -> list[TaskRun]:
    async def read() -> list[TaskRun]:
        async with get_client() as api:
            return await api.read_task_runs(**filters, limit=200)

    return asyncio.run(read())
