"""The durable SQL record that every result is written to first: the truth the rest narrates."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from prefect_experiments.errors import InvalidSetting, NotFound, traceback_text
from prefect_experiments.settings import Settings
from prefect_experiments.store.database import Database
from prefect_experiments.store.datasets import DatasetStore
from prefect_experiments.store.experiment_records import EvaluatorRecord, ExperimentRecord, TaskRecord
from prefect_experiments.store.experiments import ExperimentStore
from prefect_experiments.store.failures import FailureStore
from prefect_experiments.store.figures import FigureStore
from prefect_experiments.store.ingest import IngestStore
from prefect_experiments.store.judgements import Judgement, JudgementStore
from prefect_experiments.store.leases import Lease, LeaseStore
from prefect_experiments.store.links import Link, LinkStore
from prefect_experiments.store.outbox import OutboxStore
from prefect_experiments.store.outcomes import OutcomeStore
from prefect_experiments.store.pending import PendingStore
from prefect_experiments.store.provider_limits import ProviderLimitStore
from prefect_experiments.store.recorder import Recorder
from prefect_experiments.store.results import ResultStore
from prefect_experiments.store.run_pages import RunPages
from prefect_experiments.store.shared_work import SharedWorkStore
from prefect_experiments.store.sqlite_file import check_usable
from prefect_experiments.store.tag_moves import TagMoveStore
from prefect_experiments.store.upkeep import Upkeep
from prefect_experiments.store.urls import parse_url, portable, shown, url_text


class Store:
    """One store: its datasets, its experiments, their results.

    Args:
        url: an SQLAlchemy URL; ``sqlite://`` is a private one in memory.

    Raises:
        InvalidSetting: the URL cannot be used.
        StoreUnavailable: the database does not answer.
    """

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.datasets = DatasetStore(self.database)
        self.experiments = ExperimentStore(self.database)
        self.judgements = JudgementStore(self.database)
        self.tag_moves = TagMoveStore(self.database)
        self.results = ResultStore(self.database)
        self.run_pages = RunPages(self.database)
        self.figures = FigureStore(self.database)
        self.outcomes = OutcomeStore(self.database)
        self.pending = PendingStore(self.database)
        self.failures = FailureStore(self.database)
        self.links = LinkStore(self.database)
        self.outbox = OutboxStore(self.database)
        self.leases = LeaseStore(self.database)
        self.provider_limits = ProviderLimitStore(self.database)
        self.shared_work = SharedWorkStore(self.database)
        self.ingest = IngestStore(self.database, self.experiments)
        self.upkeep = Upkeep(self.database)

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return self.database.shown_url

    @property
    def portable_url(self) -> str:
        """The URL as other processes can be told it: without a secret."""
        return portable(self.database.url)

    def close(self) -> None:
        """Close every connection; an SQLite file then holds everything by itself."""
        self.database.settle()
        self.database.dispose()

    def __reduce__(self) -> tuple[Any, ...]:
        """It travels as its address, without a secret."""
        return reopen_store, (self.portable_url,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


logger = logging.getLogger("prefect_experiments")
_open: dict[str, Store] = {}
_open_lock = threading.Lock()
_inherited: list[Store] = []


def open_store(url: str | None = None) -> Store:
    """The store at a URL, one for each process; without a URL the one that the settings name.

    Raises:
        InvalidSetting: the URL cannot be used.
        StoreUnavailable: the database does not answer.
    """
    canonical = url_text(parse_url(url or Settings().resolved_store_url()))
    with _open_lock:
        if canonical not in _open or _open[canonical].database.is_lost:
            _open[canonical] = Store(canonical)
        return _open[canonical]


def reopen_store(portable_url: str) -> Store:
    """The store that something tells of which came from elsewhere: with the password that this process knows.

    Args:
        portable_url: a `Store.portable_url`.

    Raises:
        InvalidSetting: there is no such store here.
        StoreUnavailable: the database does not answer.
    """
    with _open_lock:
        here = next((store for store in _open.values() if store.portable_url == portable_url), None)
    if here is not None and not here.database.is_lost:
        return here
    given = parse_url(portable_url)
    if given.database in (None, "", ":memory:") and given.get_backend_name() == "sqlite":
        raise InvalidSetting("it is in a store in memory, which only the process that made it has")
    if given.get_backend_name() == "sqlite" and not Path(str(given.database)).exists():
        raise InvalidSetting(f"there is no store at {portable_url}, where it says that the experiment is")
    ours = parse_url(Settings().resolved_store_url())
    return open_store(None if portable(ours) == portable_url else portable_url)


def existing_file(url: str | None = None) -> tuple[str, Path | None]:
    """What the store at a URL, or the one that the settings name, is called, and its file where it is an SQLite file.

    Raises:
        NotFound: there is no such file.
        InvalidSetting: and none can be made there.
    """
    parsed = parse_url(url or Settings().resolved_store_url())
    file = Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None
    if file is not None and not os.path.isfile(file):  # noqa: PTH113 - which takes any name
        check_usable(file)
        raise NotFound(f"there is no store at {shown(parsed)}; the first experiment makes one")
    return shown(parsed), file


@contextlib.contextmanager
def looking_at(url: str | None = None) -> Iterator[Upkeep]:
    """The store at a URL, or the one that the settings name, for a look that changes nothing of it.

    Raises:
        InvalidSetting: the URL cannot be used.
    """
    database = Database(url or Settings().resolved_store_url(), only_read=True)
    try:
        yield Upkeep(database)
    finally:
        database.dispose()


@atexit.register
def _close_all() -> None:
    """When the process ends, the file of each store holds everything by itself."""
    for store in _open.values():
        try:
            store.close()
        except Exception as error:  # noqa: BLE001 - the others still want to be closed
            logger.debug("closing the store at %s\n%s", store.shown_url, traceback_text(error))


def _after_fork() -> None:
    """A forked process opens its own connections; it must not even close those of its parent."""
    global _open_lock
    _open_lock = threading.Lock()
    _inherited.extend(_open.values())
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


__all__ = [
    "EvaluatorRecord",
    "ExperimentRecord",
    "Judgement",
    "Lease",
    "Link",
    "Recorder",
    "Store",
    "TaskRecord",
    "existing_file",
    "looking_at",
    "open_store",
    "reopen_store",
]
