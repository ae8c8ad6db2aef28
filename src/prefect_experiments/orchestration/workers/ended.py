"""The runs that a worker leaves behind which was killed: nobody else would ever end them."""

from __future__ import annotations

from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter
from prefect.client.schemas.objects import TaskRun
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed

from prefect_experiments.orchestration.patience import current_line

_PAGE = 200


async def end_runs_of(run_id: UUID | None, how: str) -> None:
    """Have Prefect show that a worker is gone: its run, and those of the batches that it had.

    Args:
        run_id: the worker's task run; ``None`` where there was none yet.
        how: how it ended.
    """
    if run_id is not None and flow_run.id is not None:
        await current_line().tell("the end of a worker that is gone", _end(run_id, UUID(flow_run.id), how))


async def _end(worker: UUID, flow: UUID, how: str) -> None:
    message = f"The worker is gone ({how}). What it had finished is kept, and the rest is done by another one."
    async with get_client() as api:
        offset = 0
        while runs := await api.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow])),
            task_run_filter=TaskRunFilter(),
            limit=_PAGE,
            offset=offset,
        ):
            offset += len(runs)
            for run in runs:
                if (run.id == worker or worker in _parents(run)) and not (run.state and run.state.is_final()):
                    try:
                        await api.set_task_run_state(run.id, Crashed(message=message), force=True)
                    except ObjectNotFound:
                        continue


def _parents(run: TaskRun) -> set[UUID]:
    return {parent.id for parent in run.task_inputs.get("__parents__", []) if hasattr(parent, "id")}
