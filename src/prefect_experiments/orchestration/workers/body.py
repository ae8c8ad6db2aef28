"""What a worker does, in its process."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import asdict
from functools import partial
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from prefect_experiments.errors import InvalidReference, WorkCalledOff
from prefect_experiments.experiment.calling import make_calls
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.sharing import Part, SharedBatches, do_part
from prefect_experiments.orchestration.batches import evaluate_batch, run_batch
from prefect_experiments.orchestration.patience import new_line
from prefect_experiments.orchestration.shared_limits import pace_of
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
        return asdict(asyncio.run(_do(Part.model_validate_json(part))))
    except WorkCalledOff as off:  # whoever leads knows why: as an error it would be told of by every worker
        return Completed(name="CalledOff", message=str(off))


async def _do(part: Part) -> Done:
    with new_line():
        try:
            return await do_part(part, _calls, await pace_of(part.spec.options))
        except InvalidReference as error:
            where = f"worker {part.worker} on {socket.gethostname()}"
            raise InvalidReference(f"{where}: {error}. Each worker needs the code that the experiment names") from None


async def _calls(session: Session, batches: SharedBatches) -> None:
    await make_calls(session, partial(run_batch, session), partial(evaluate_batch, session), batches)
