"""What a worker does that is a flow run of a deployment: the store says what, and is told what it met."""

from __future__ import annotations

import asyncio

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from prefect_experiments.errors import ExperimentInUse, ExperimentsError, NotFound, StoreUnavailable, WorkCalledOff
from prefect_experiments.experiment.sharing import Part
from prefect_experiments.experiment.worker_errors import to_text
from prefect_experiments.interruptions import interruptible
from prefect_experiments.orchestration.workers.body import do_part_here
from prefect_experiments.store import Store, open_store


async def do_deployed(experiment: str, worker: int) -> State[None]:
    """Do the part that stands in the store for a worker; gives the flow run's final state.

    Args:
        experiment: its id.
        worker: the worker's number, from 1.

    Raises:
        ExperimentsError: what it met; the process that leads it is told by the store.
    """
    store = await asyncio.to_thread(open_store)
    part = await asyncio.to_thread(_part_in, store, experiment, worker)
    if isinstance(part, str):
        get_run_logger().info("%s", part)
        return Completed(message=part)
    try:
        done = await interruptible(do_part_here(part))
    except (WorkCalledOff, ExperimentInUse) as error:  # which is not its own error
        return Cancelled(message=str(error))
    except ExperimentsError as error:
        await asyncio.to_thread(_tell, store, part, error)
        raise
    return Completed(message=f"Made {done.runs:,} calls of the task and {done.evaluations:,} of evaluators")


def _part_in(store: Store, experiment: str, worker: int) -> Part | str:
    """What is to be done; where there is nothing to do, why.

    Raises:
        NotFound: the experiment is not in the store.
    """
    try:
        store.experiments.get(experiment)
    except NotFound:
        raise NotFound(
            f"experiment {experiment} is not in the store at {store.shown_url}, which this worker uses: give it the "
            "PREFECT_EXPERIMENTS_STORE_URL of the process that runs the experiment"
        ) from None
    work = store.shared_work
    text = work.part(experiment, worker)
    if text is None:
        return (
            f"There is nothing to do for worker {worker} of experiment {experiment}. Workers are started by an "
            "experiment with task_runner='deployment:NAME', and not by hand"
        )
    if work.is_done(experiment):
        return f"There is nothing to do any more for experiment {experiment}: others have done everything"
    if (why := work.stopped(experiment)) is not None:
        return f"There is nothing to do any more for experiment {experiment}: it has been stopped ({why})"
    part = Part.model_validate_json(text)
    # The same store may have another address here.
    return part.model_copy(update={"spec": part.spec.model_copy(update={"store": store.portable_url})})


def _tell(store: Store, part: Part, error: ExperimentsError) -> None:
    try:
        store.shared_work.fail(part.spec.experiment_id, part.worker, part.leader, to_text(error))
    except StoreUnavailable:  # the flow run's state tells of it, too
        get_run_logger().warning("The store could not be told of the error.")
