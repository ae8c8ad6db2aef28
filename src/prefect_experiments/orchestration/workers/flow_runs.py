"""What is asked of Prefect about the deployment whose flow runs are workers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import State, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.options import DEPLOYMENT
from prefect_experiments.orchestration.patience import asked
from prefect_experiments.orchestration.workers.ended import OPEN_STATES

FLOW = "worker"
ENTRYPOINT = "prefect_experiments.flows.worker.worker"
_TAKES = {"experiment", "worker"}
_PAGE = 200


async def check_deployment(task_runner: object) -> None:
    """Refuse a deployment that there is not, or of another flow, before anything is spent.

    Raises:
        InvalidSetting: so it is.
        TransientError: Prefect's server does not answer.
    """
    if isinstance(task_runner, str) and task_runner.startswith(DEPLOYMENT):
        name = task_runner.removeprefix(DEPLOYMENT).strip()
        what = f"no worker of the deployment {name!r} can be had, and nothing was run"
        await asked(what, partial(found_deployment, name))


async def found_deployment(name: str) -> DeploymentResponse:
    """The deployment of a name, if its flow is a worker's.

    Args:
        name: as ``flow/deployment``, or without the flow where that is `worker`.

    Raises:
        InvalidSetting: there is none, or it is of another flow.
    """
    full = name if "/" in name else f"{FLOW}/{name}"
    async with get_client() as api:
        try:
            found = await api.read_deployment_by_name(full)
        except ObjectNotFound:
            of_workers = FlowFilter(name=FlowFilterName(any_=[FLOW]))
            known = [f"{FLOW}/{one.name}" for one in await api.read_deployments(flow_filter=of_workers, limit=20)]
            raise InvalidSetting(
                f"{unknown_value('deployment', full, known)}. Nothing was run. `prefect deploy` the entrypoint "
                f"{ENTRYPOINT} under that name (docs/workers.md)"
            ) from None
    if set((found.parameter_openapi_schema or {}).get("properties", ())) != _TAKES:
        raise InvalidSetting(
            f"the deployment {full!r} is of {found.entrypoint!r}, which is no worker's flow: nothing was run. Deploy "
            f"the entrypoint {ENTRYPOINT}, and name that deployment"
        )
    return found


async def read(run_ids: Sequence[UUID]) -> dict[UUID, State | None]:
    """The states of flow runs."""
    found: dict[UUID, State | None] = {}
    async with get_client() as api:
        for first in range(0, len(run_ids), _PAGE):
            these = FlowRunFilter(id=FlowRunFilterId(any_=list(run_ids[first : first + _PAGE])))
            found |= {run.id: run.state for run in await api.read_flow_runs(flow_run_filter=these, limit=_PAGE)}
    return found


async def left_over(deployment: DeploymentResponse, tag: str) -> list[UUID]:
    """The flow runs of a deployment with a tag that have not ended."""
    these = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[tag]), state=FlowRunFilterState(type=FlowRunFilterStateType(any_=OPEN_STATES))
    )
    of_it = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    async with get_client() as api:
        return [run.id for run in await api.read_flow_runs(flow_run_filter=these, deployment_filter=of_it)]


async def cancel(run_ids: Sequence[UUID]) -> None:
    """Cancel flow runs; those that nothing has started yet end at once."""
    async with get_client() as api:
        for run_id in run_ids:
            await api.set_flow_run_state(run_id, Cancelling(message="Its experiment has ended, or goes on elsewhere."))


async def why_late(deployment: DeploymentResponse) -> str:
    """Why a deployment's flow runs do not start, as far as Prefect knows, and what to do."""
    name = deployment.work_pool_name
    if name is None:
        return "It has no work pool: the process that serves it is to run"
    queue = f" (queue {deployment.work_queue_name!r})" if deployment.work_queue_name else ""
    where = f"work pool {name!r}{queue}"
    async with get_client() as api:
        pool = await api.read_work_pool(name)
        workers = await api.read_workers_for_work_pool(name)
    if pool.is_paused:
        return f"The {where} is paused: `prefect work-pool resume {name}`"
    if not pool.is_push_pool and not any(worker.status is WorkerStatus.ONLINE for worker in workers):
        return f"No Prefect worker serves the {where}: `prefect worker start --pool {name}`"
    return f"The {where} is served; see whether its limits leave room, and what its workers' logs say"
