"""A dataset that grows: from production traces, or by a sample of another dataset, into a new version."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from prefect.states import Completed
from pydantic import Field

from prefect_experiments import Client
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.flows.form import deployed
from prefect_experiments.orchestration.deployed.curating import PartOfDataset, Traces, add_new


@deployed(
    "curate-dataset",
    called="{name}",
    shown=("name", "traces", "part_of"),
)
async def curate_dataset(
    name: Annotated[str, Field(min_length=1)],
    traces: Traces | None = None,
    part_of: PartOfDataset | None = None,
    description: str | None = None,
    backend: str | None = None,
    traces_backend: str | None = None,
) -> Any:
    """Add new examples to a dataset, as a new version of it; what it has already is left as it is.

    Args:
        name: The dataset that gets the examples; made where there is none of that name.
        traces: Take them from production traces. Either this or a part of another dataset.
        part_of: Take them from another dataset.
        description: Of a dataset that is made, a sentence for people.
        backend: Where the dataset is: local, phoenix, arize, or a saved block such as phoenix-credentials/prod.
            Empty: as the worker's settings say.
        traces_backend: Where the traces are. Empty: where the dataset is.
    """
    source = traces or part_of
    if source is None or (traces and part_of):
        raise InvalidSetting("examples come from traces or from a part of another dataset; give exactly one of them")
    client = Client(backend=backend)
    origin = client if traces is None or traces_backend is None else Client(backend=traces_backend)
    examples = await asyncio.to_thread(source.examples, origin)
    if not examples:
        return Completed(message=f"There was nothing to add to {name!r}.")
    dataset, added = await asyncio.to_thread(add_new, client, name, examples, description)
    now = f"{name!r} has {len(dataset)} now ({dataset.version_id})"
    return Completed(message=f"{added} of {len(examples)} examples were new; {now}.")
