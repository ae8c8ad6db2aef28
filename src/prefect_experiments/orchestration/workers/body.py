"""What a worker does, in its process."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import asdict
from functools import partial
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from prefect_experiments.errors import BudgetSpent, InvalidInput, WorkCalledOff
from prefect_experiments.experiment.calling import make_calls
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.sharing import Part, SharedBatches, do_part
from prefect_experiments.orchestration.batches import evaluate_batch, run_batch
from prefect_experiments.orchestration.patience import new_line
from prefect_experiments.orchestration.shared_limits import pace_of
from prefect_experiments.orchestration.workers import BUDGET_SPENT
from prefect_experiments.orchestration.workers.alone import in_its_own_process
from prefect_experiments.store.shared_work import Done


def do(part: str) -> dict[str, Any] | State[Any]:
    """Do a worker's part, on one loop; gives the numbers of a `Done`, or the state of one that was called off.

    Args:
        part: a `Part`, as JSON.

    Raises:
        ExperimentsError: as `do_part` does.
    """
    in_its_own_process()
    try:
        return asdict(asyncio.run(do_part_here(Part.model_validate_json(part))))
    # Whoever leads says why: as an error it would be told of by every worker.
    except WorkCalledOff as off:
        return Completed(name="CalledOff", message=str(off))
    except BudgetSpent as spent:
        return Completed(name=BUDGET_SPENT, message=str(spent))


async def do_part_here(part: Part) -> Done:
    """`do_part`, with a Prefect task for each batch.

    Raises:
        ExperimentsError: as `do_part` does.
    """
    with new_line():
        try:
            return await do_part(part, _calls, await pace_of(part.spec.options))
        except InvalidInput as error:  # its code, its settings or its environment are others
            where = f"worker {part.worker} on {socket.gethostname()}"
            needs = "each worker needs the code, the packages and the settings that the experiment was begun with"
            raise type(error)(f"{where}: {error}. Nothing more is called: {needs}") from None


async def _calls(session: Session, batches: SharedBatches) -> None:
    await make_calls(session, partial(run_batch, session), partial(evaluate_batch, session), batches)
