"""The history of a dataset as a client asks for it: what the store has, and the names of what only the backend has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prefect_experiments.analysis.history import History, When, history_of
from prefect_experiments.backends import Remote
from prefect_experiments.errors import ExperimentsError, NotFound
from prefect_experiments.store import Store

# The newest: some backends are asked for the tags of each.
_MOST_LOOKED_AT = 100


def history_at(
    store: Store,
    remote: Remote | None,
    dataset: str,
    *,
    metrics: Sequence[str] = (),
    since: When | None = None,
    last: int | None = None,
) -> History:
    """See `Experiments.history`.

    Args:
        store: where the results are.
        remote: the backend, if it is not the store.
        dataset: name or id, of the backend's dataset where there is one.
        metrics: as `history_of` takes it, like what follows.
        since: likewise.
        last: likewise.
    """
    if remote is None:
        return history_of(store, dataset, metrics=metrics, since=since, last=last)
    name = dataset
    only_there: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: NotFound | None = None
    try:
        name = remote.datasets.info(dataset).name
        only_there, notes = _only_there(store, remote, dataset)
    except NotFound as error:
        missing = error
    except ExperimentsError as error:
        notes = (f"{remote.name} was not asked what the store does not have: {error}",)
    try:
        found = history_of(store, name, metrics=metrics, since=since, last=last, target=remote.target)
    except NotFound:
        if missing is not None or not _is_new(store, name):
            raise
        found = History(dataset=name)
    return replace(found, only_at_backend=only_there, notes=notes)


def _is_new(store: Store, dataset: str) -> bool:
    """Whether the store does not know the dataset."""
    try:
        store.datasets.info(dataset)
    except NotFound:
        return True
    return False


def _only_there(store: Store, remote: Remote, dataset: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of a backend's experiments that the store has nothing of, the newest first, and what to say besides."""
    page, pagination = remote.experiments.page(dataset=dataset, limit=_MOST_LOOKED_AT, cursor=None)
    links = ((found, store.links.of_remote(found.id, remote.target)) for found in page)
    names = tuple(found.name for found, link in links if link is None or not link.leads_to(found))
    more = f"Only the newest {_MOST_LOOKED_AT} experiments in {remote.name} were looked at"
    return names, (more,) if pagination.has_more else ()
