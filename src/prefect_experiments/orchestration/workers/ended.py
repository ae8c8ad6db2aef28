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
_MESSAGE = "The worker is gone ({how}). What it had finished is kept, and the rest is done by another one."


async def end_runs_of(run_id: UUID | None, how: str) -> None:
    """Have Prefect show that a worker is gone: its run, and those of the batches that it had.

    Args:
        run_id: the worker's task run; ``None`` where there was none yet.
        how: how it ended.
    """
    if run_id is not None and flow_run.id is not None:
        await current_line().tell("the end of a worker that is gone", _end(run_id, UUID(flow_run.id), how))


async def end_flow_run(run_id: UUID, how: str) -> None:
    """Have Prefect show that a worker is gone which was a flow run: that, and the runs of its batches.

    Args:
        run_id: of the flow run.
        how: how it ended.
    """
    async with get_client() as api:
        run = await api.read_flow_run(run_id)
        if run.state is None or not run.state.is_final():
            await api.set_flow_run_state(run_id, Crashed(message=_MESSAGE.format(how=how)), force=True)
    await _end(None, run_id, how)


async def _end(worker: UUID | None, flow: UUID, how: str) -> None:
    """End the task runs of a flow run, or only those of a worker in it."""
    message = _MESSAGE.format(how=how)
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
                is_of_it = worker is None or run.id == worker or worker in _parents(run)
                if is_of_it and not (run.state and run.state.is_final()):
                    try:
                        await api.set_task_run_state(run.id, Crashed(message=message), force=True)
                    except ObjectNotFound:
                        continue


def _parents(run: TaskRun) -> set[UUID]:
    return {parent.id for parent in run.task_inputs.get("__parents__", []) if hasattr(parent, "id")}
