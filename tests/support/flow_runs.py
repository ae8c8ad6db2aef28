"""What Prefect's server has of an experiment's flow run."""

from __future__ import annotations

import asyncio

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun


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
