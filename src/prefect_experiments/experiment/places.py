"""Where experiments are: the store and the backend that a call means, and the experiment that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect_experiments.backends import Remote, find_backend, open_remote
from prefect_experiments.backends.linking import pull_experiment
from prefect_experiments.errors import AmbiguousName, BackendUnavailable, InvalidSetting, NotFound
from prefect_experiments.experiment.arguments import Place
from prefect_experiments.experiment.naming import about_dataset
from prefect_experiments.models import Experiment
from prefect_experiments.settings import Settings
from prefect_experiments.store import ExperimentRecord, Link, Store, open_store


def remote_of(backend: str | None, client: Place | None = None) -> Remote | None:
    """The backend that is asked for, else the client's, else the one that the settings name; ``None`` for the store.

    Args:
        backend: a name, or that of saved options, such as a block of Prefect: ``phoenix-credentials/prod``.
        client: a `Client` or `AsyncClient`.

    Raises:
        InvalidSetting: one that there is not, or that cannot be reached as it is described.
    """
    theirs: Remote | None = getattr(client, "remote", None)
    if backend is None and client is not None:
        return theirs
    name = backend or Settings().backend
    return theirs if theirs is not None and theirs.name == name else open_remote(name)


def remote_of_link(link: Link, remote: Remote | None) -> Remote:
    """The backend that an experiment is kept in already.

    Args:
        link: the experiment's.
        remote: the one that the caller or the settings name, if any.

    Raises:
        InvalidSetting: it is another one, and a key would have to be guessed.
    """
    if remote is not None and remote.target == link.target:
        return remote
    name, _, url = link.target.partition(" ")
    configured = open_remote(name)
    if configured is not None and configured.target == link.target:
        return configured
    raise InvalidSetting(
        f"experiment {link.experiment_id} is kept in {name} at {url}, and the settings name another place; "
        f"pass client=Client(backend={name!r}, {find_backend(name).address}={url!r})"
    )


def store_of(client: Place | None) -> Store:
    """The store of a client; without a client the one that the settings name."""
    if client is None:
        return open_store()
    store = getattr(client, "store", None)
    if not isinstance(store, Store):
        raise InvalidSetting(f"client must be a Client or AsyncClient of prefect_experiments, got {client!r:.80}")
    return store


def experiment_key(experiment: Any) -> str:
    """The id or the name of an experiment that was given as a text, an object or a mapping.

    Raises:
        InvalidSetting: it names none.
    """
    if isinstance(experiment, str):
        return experiment
    if isinstance(experiment, Experiment):
        return experiment.id
    if isinstance(experiment, Mapping):
        found = experiment.get("experiment_id") or experiment.get("id")
        if isinstance(found, str):
            return found
    raise InvalidSetting(
        "experiment must be an id, a name, 'tag:NAME', 'latest', 'latest:NAME', an Experiment or a RanExperiment; "
        f"got {type(experiment).__name__}"
    )


def find_experiment(
    experiment: Any,
    store: Store,
    dataset: str | None = None,
    remote: Remote | None = None,
    *,
    to_continue: bool = False,
) -> ExperimentRecord:
    """The record of an experiment: an id, a name, ``tag:NAME``, ``latest``, ``latest:NAME``, or an object with its id.

    One that only the backend has is pulled into the store, with its results.
    """
    with about_dataset(dataset):
        return _found(experiment_key(experiment), store, dataset, remote, to_continue)


def _found(key: str, store: Store, dataset: str | None, remote: Remote | None, to_continue: bool) -> ExperimentRecord:
    if remote is None:
        return store.experiments.get(key, dataset=dataset, to_continue=to_continue)
    link = store.links.of_experiment(key, remote.target)
    try:
        found = remote.experiments.find(key if link is None else link.remote_id, dataset)
    except NotFound as error:  # begun offline, or deleted there
        if store.links.of_remote(key) and not store.links.of_remote(key, remote.target):
            raise  # it is the id of another one, in another place
        try:
            return store.experiments.get(key, dataset=dataset, to_continue=to_continue)
        except AmbiguousName:
            raise
        except NotFound:
            raise error from None  # which names those that are there
    if link is not None and not link.leads_to(found):  # deleted there, and its id is another one's now
        return store.experiments.get(key)
    return pull_experiment(store, remote, found)


def experiment_to_continue(
    experiment: Any, store: Store, dataset: str | None, remote: Remote | None, *, with_runs: bool = False
) -> tuple[ExperimentRecord, Remote | None, list[str]]:
    """The record of an experiment to go on with, the backend that gets its results, and what is to be said.

    An experiment that a backend has is asked after there: another machine may have gone on with it.
    """
    notes: list[str] = []
    if remote is None:
        record = find_experiment(experiment, store, dataset, to_continue=not with_runs)
        link = store.links.of_experiment(record.experiment.id)
        if link is None:
            return record, None, notes
        remote, experiment = remote_of_link(link, None), link.remote_id
    try:
        return find_experiment(experiment, store, dataset, remote, to_continue=not with_runs), remote, notes
    except BackendUnavailable as error:
        record = find_experiment(experiment, store, dataset, to_continue=not with_runs)
        notes.append(f"{error}. Going on with what is here; the results are pushed when it answers.")
        return record, remote, notes
