"""The runs that a worker leaves behind which was killed: nobody else would ever end them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, StateType, TaskRun
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed

from prefect_experiments.orchestration.patience import current_line

_PAGE = 200
_TOLD_WITHIN_S = 5.0
"""So long after a run has ended, Prefect's server may say that it is running."""

OPEN_STATES = [each for each in StateType if each not in TERMINAL_STATES]
_MESSAGE = "The worker is gone ({how}). What it had finished is kept, and the rest is done by another one."


async def end_runs_of(run_id: UUID | None, how: str) -> None:
    """Have Prefect show that a worker is gone: its run, and those of the batches that it had.

    Args:
        run_id: the worker's task run; ``None`` where there was none yet.
        how: how it ended.
    """
    if run_id is None or flow_run.id is None:
        return
    message = _MESSAGE.format(how=how)
    ending = _end(UUID(flow_run.id), message, lambda run: run.id == run_id or run_id in _parents(run))
    await current_line().tell("the end of a worker that is gone", ending)


async def end_runs_left_of(workers: Collection[UUID]) -> None:
    """When workers have ended, have Prefect show that of all that they had begun.

    Where a cluster by itself has run a worker's task again, those of the batches that the killed process had are open
    still; and those of a worker that is cut off.

    Args:
        workers: their task runs.
    """
    if flow_run.id is not None and workers:
        settling = _settle(UUID(flow_run.id), frozenset(workers))
        await current_line().tell("the end of what workers left that are gone", settling)


async def end_runs_in(flow: UUID, message: str) -> None:
    """Have Prefect show that nobody goes on with the task runs of a flow run."""
    await _end(flow, message, lambda _run: True)


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
    await end_runs_in(run_id, _MESSAGE.format(how=how))


async def _settle(flow: UUID, workers: frozenset[UUID]) -> None:
    def is_theirs(run: TaskRun) -> bool:
        return run.id in workers or not workers.isdisjoint(_parents(run))

    until = time.monotonic() + _TOLD_WITHIN_S
    while any(map(is_theirs, await _open_runs(flow))):
        if time.monotonic() > until:
            return await _end(flow, "The process that had begun it is gone; what it had finished is kept.", is_theirs)
        await asyncio.sleep(_TOLD_WITHIN_S / 10)
    return None


async def _end(flow: UUID, message: str, is_meant: Callable[[TaskRun], bool]) -> None:
    async with get_client() as api:
        for run in filter(is_meant, await _open_runs(flow)):
            try:
                await api.set_task_run_state(run.id, Crashed(message=message), force=True)
            except ObjectNotFound:
                continue


async def _open_runs(flow: UUID) -> list[TaskRun]:
    found: list[TaskRun] = []
    async with get_client() as api:
        while runs := await api.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow])),
            task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=OPEN_STATES))),
            limit=_PAGE,
            offset=len(found),
        ):
            found += runs
    return found


def _parents(run: TaskRun) -> set[UUID]:
    return {parent.id for parent in run.task_inputs.get("__parents__", []) if hasattr(parent, "id")}
