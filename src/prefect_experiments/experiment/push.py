"""Pushing an experiment again, or for the first time, without running anything. No Prefect in it."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.backends import Remote, backend_names
from prefect_experiments.backends.linking import begin_remotely
from prefect_experiments.backends.pusher import Push, PushOutcome
from prefect_experiments.errors import BackendRefused, ExperimentsError, InvalidSetting
from prefect_experiments.experiment.places import experiment_key, remote_of, remote_of_link, store_of
from prefect_experiments.models import Experiment
from prefect_experiments.settings import Settings
from prefect_experiments.store import ExperimentRecord, Link, Store
from prefect_experiments.sync import waited

logger = logging.getLogger("prefect_experiments")


@waited
async def push_experiment(client: Any, experiment: Any, to: str | None, dataset: str | None) -> RanExperiment:
    """Push what a backend does not have of an experiment; see `Experiments.push`."""
    store = store_of(client)

    def prepare() -> tuple[ExperimentRecord, Remote]:
        record = store.experiments.get(experiment_key(experiment), dataset=dataset)
        return record, _target(record, store, to, client)

    record, remote = await asyncio.to_thread(prepare)
    await asyncio.to_thread(remote.check)
    link = await asyncio.to_thread(begin_remotely, store, remote, record)
    await asyncio.to_thread(store.outbox.retry_refused, link)
    outcome = await Push(store, remote, link, patience=Settings().push_patience).run()
    _refuse_refusals(outcome, remote)
    begun = await asyncio.to_thread(store.links.of_experiment, record.experiment.id, remote.target)
    if begun is not None and begun.is_begun:
        await asyncio.to_thread(_push_tags, store, remote, record.experiment, begun)
    return RanExperiment(store, record, link=begun, waiting=outcome.waiting.total)


def _push_tags(store: Store, remote: Remote, experiment: Experiment, link: Link) -> None:
    """Give the backend's experiment the tags that it has here, and take away those that another one has here."""
    elsewhere = {*store.experiments.tags(experiment.dataset_id)} - {*experiment.tags}
    if not experiment.tags and not elsewhere:
        return
    warn = partial(logger.warning, extra={"send_to_api": False})  # there is no flow run to say it of
    try:
        given = {*remote.experiments.find(link.remote_id).tags}
    except ExperimentsError as error:  # the results are there, and the tags are here
        warn("The tags of %s were not pushed to %s: %s", experiment.id, remote.name, error)
        return
    change = remote.experiments
    moved = [(change.tag, tag) for tag in experiment.tags if tag not in given]
    moved += [(change.untag, tag) for tag in sorted(elsewhere & given)]
    for move, tag in moved:
        try:
            move(link.remote_id, tag)
        except ExperimentsError as error:
            warn("The tag %r was not moved in %s: %s", tag, remote.name, error)


def _target(record: ExperimentRecord, store: Store, to: str | None, client: Any) -> Remote:
    remote = remote_of(to, client)
    if remote is None and to is None and (link := store.links.of_experiment(record.experiment.id)) is not None:
        remote = remote_of_link(link, None)
    if remote is None:
        known = ", ".join(backend_names()[1:])
        raise InvalidSetting(f"there is no backend to push to: pass to=, or use Client(backend=); there are {known}")
    return remote


def _refuse_refusals(outcome: PushOutcome, remote: Remote) -> None:
    if outcome.waiting.refused:
        raise BackendRefused(
            f"{remote.name} refused {outcome.waiting.refused} results ({'; '.join(dict.fromkeys(outcome.refusals))}); "
            f"{outcome.pushed} were pushed, {outcome.waiting.total} wait"
        )
