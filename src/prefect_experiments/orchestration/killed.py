"""The flow run of a process that was killed: nobody else would ever end it."""

from __future__ import annotations

import asyncio
from uuid import UUID

from prefect import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed

from prefect_experiments.errors import StoreUnavailable
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.orchestration.patience import current_line
from prefect_experiments.orchestration.workers.ended import end_runs_in


async def end_run_of_killed(work: RunWork) -> None:
    """Where this process has taken the place of one that is gone, say so on that one's page, which says ``Running``."""
    try:
        killed = await asyncio.to_thread(work.shown_by, str(flow_run.id))
    except StoreUnavailable:
        return  # whoever is away comes to light where something depends on it
    if killed is not None:
        await current_line().tell("the end of the flow run whose process was killed", _end(UUID(killed)))


async def _end(killed: UUID) -> None:
    async with get_client() as api:
        try:
            run = await api.read_flow_run(killed)
        except ObjectNotFound:  # another server, or deleted
            return
        if run.state is not None and not run.state.is_final():
            message = f"Its process is gone. Another one has gone on with the experiment: flow run {flow_run.name}."
            await api.set_flow_run_state(killed, Crashed(message=message), force=True)
            await end_runs_in(killed, message)
