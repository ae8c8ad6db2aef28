"""Experiments of flow runs that Prefect may run again, and of events that may come twice.

A flow run whose process was killed is run again under its own id; then it goes on with the
experiments that it has begun. A flow run that comes second for one idempotency key finds out who
was first, and what has become of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Scheduled

from prefect_experiments import datasets
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.errors import AlreadyExists, AmbiguousName, ExperimentsError, InvalidSetting, NotFound
from prefect_experiments.experiment.places import find_experiment, remote_of, store_of
from prefect_experiments.models import Dataset, Experiment
from prefect_experiments.orchestration.running import is_verdict
from prefect_experiments.orchestration.runs import aresume_experiment, arun_experiment
from prefect_experiments.store import Store

# In the metadata of an experiment that a flow run has begun.
FLOW_RUN = "prefect_flow_run_id"
PART = "part"
BASELINE = "baseline_id"

BEGUN_BEFORE = "AlreadyBegun"
"""The final state of a flow run that came second."""

MOST_LIVES = 5


async def arun_for_flow_run(
    *,
    dataset: str | Dataset,
    client: Any = None,
    part: str = "",
    baseline: str | None = None,
    gate: Any = None,
    idempotency_key: str | None = None,
    new: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> RanExperiment:
    """`run_experiment` for the flow run that is under way, which goes on with what it began in an earlier life.

    Args:
        dataset: as for `run_experiment`, like all that is not named here.
        client: the `Client` whose store and backend to use.
        part: tells the experiments of one flow run apart.
        baseline: what the result is compared with. What the name leads to at first is kept to.
        gate: turns the comparison into a verdict.
        idempotency_key: begin only one experiment of the dataset for this key, whichever flow run asks.
        new: what only a new experiment takes: ``experiment_name``, ``sample``, ``repetitions``, ...
        arguments: what a resumed one takes as well: ``task``, ``evaluators``, ``concurrency``, ...

    Raises:
        AlreadyExists: another flow run has begun the experiment for this key; see `what_became_of`.
        ExperimentsError: the flow run has been killed too often to be run again.
        InvalidSetting: this is not inside a flow run.
    """
    run = _flow_run()
    if run.run_count > MOST_LIVES:
        raise ExperimentsError(
            f"this flow run has been started {run.run_count} times and was ended before it was done each time; it is "
            "not tried again. What has finished is kept. Look for what ends it: memory, a time limit, the machine"
        )
    store = store_of(client)
    known = None
    if run.run_count > 1 and idempotency_key is None:
        known = await asyncio.to_thread(_begun_by, store, run, part)
    if known is None:
        named = await asyncio.to_thread(_baseline_id, baseline, _name_of(dataset), store, client)
        options = dict(new or {})
        metadata = {**(options.pop("experiment_metadata", None) or {}), FLOW_RUN: str(run.id), BASELINE: named}
        try:
            return await arun_experiment(
                dataset=dataset,
                baseline=named or baseline,
                gate=gate,
                idempotency_key=idempotency_key,
                client=client,
                print_summary=False,
                experiment_metadata={**metadata, PART: part} if part else metadata,
                **options,
                **arguments,
            )
        except AlreadyExists as first:
            known = await asyncio.to_thread(_of_this_run, store, first, run)
    get_run_logger().info("Going on with experiment %s, which this flow run has begun before.", known.id)
    kept = known.metadata.get(BASELINE)
    if kept is None and baseline is not None:  # there was none yet, and this run is still the first one
        arguments |= {"pooled": 1, "first_run": True}
    return await aresume_experiment(
        experiment=known.id,
        baseline=kept,
        gate=gate,
        client=client,
        print_summary=False,
        **arguments,
    )


async def what_became_of(first: AlreadyExists, what: str, client: Any = None) -> State[Any]:
    """The final state of a flow run that came second: it says who was first, and how that ended.

    A first one that broke off is started again: one flow run makes the experiment, and no other does.

    Args:
        first: what `arun_for_flow_run` raised.
        what: what was to be done, for the message.
        client: the `Client` whose store is used.

    Raises:
        ExperimentsError: the first one broke off, and cannot be started again by Prefect.
    """
    if not first.experiment_id:
        raise first
    record = await asyncio.to_thread(store_of(client).experiments.get, first.experiment_id)
    owner = record.experiment.metadata.get(FLOW_RUN)
    async with get_client() as api:
        run = None if owner is None else await _read(api, UUID(str(owner)))
        if run is None or run.state is None:
            raise ExperimentsError(f"{first}. The flow run that began it is gone") from None
        state, who = run.state, f"{what}: flow run {run.name!r} ({run.id})"
        broke_off = state.is_final() and not (is_verdict(state) or state.is_completed() or state.is_cancelled())
        if not state.is_final():
            message = f"{who} does it, and is {state.name}."
        elif state.is_cancelled():
            message = f"{who} did it, and was cancelled; `prefect flow-run retry {run.id}` goes on with it."
        elif not broke_off:
            message = f"{who} has done it: {state.name}. {state.message or ''}"
        elif run.deployment_id is None:
            raise ExperimentsError(f"{first}. Its flow run {run.name!r} broke off: {state.name}") from None
        else:
            await api.set_flow_run_state(run.id, Scheduled(message=f"{what} was asked for again"))
            message = f"{who} broke off ({state.name}), and goes on now."
    return Completed(name=BEGUN_BEFORE, message=message)


def _flow_run() -> FlowRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise InvalidSetting("this belongs into a flow; elsewhere, call run_experiment")
    return context.flow_run


def _begun_by(store: Store, run: FlowRun, part: str) -> Experiment | None:
    """The experiment that a flow run has begun in an earlier life."""
    for experiment in store.experiments.mentioning(str(run.id)):
        if experiment.metadata.get(FLOW_RUN) == str(run.id) and experiment.metadata.get(PART, "") == part:
            return experiment
    return None


def _of_this_run(store: Store, first: AlreadyExists, run: FlowRun) -> Experiment:
    """The experiment that was begun for a key, if this flow run has begun it.

    Raises:
        AlreadyExists: it has not.
    """
    if first.experiment_id:
        experiment = store.experiments.get(first.experiment_id).experiment
        if experiment.metadata.get(FLOW_RUN) == str(run.id):
            return experiment
    raise first


def _baseline_id(baseline: str | None, dataset: str, store: Store, client: Any) -> str | None:
    """What a baseline's name leads to now: later it may lead to the very experiment that is compared with it.

    ``None`` where a tag or ``latest`` leads nowhere yet; a table of results stays what it is.
    """
    if baseline is None or datasets.is_path(baseline):
        return baseline
    try:
        return find_experiment(baseline, store, dataset, remote_of(None, client)).experiment.id
    except AmbiguousName:
        raise
    except NotFound:
        if baseline == "latest" or baseline.startswith("tag:"):
            return None
        raise


def _name_of(dataset: str | Dataset) -> str:
    if isinstance(dataset, Dataset):
        return dataset.name
    return Path(dataset).stem if datasets.is_path(dataset) else dataset


async def _read(api: PrefectClient, run_id: UUID) -> FlowRun | None:
    try:
        return await api.read_flow_run(run_id)
    except ObjectNotFound:
        return None
