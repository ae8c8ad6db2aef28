"""The durable SQL record that every result is written to first: the truth the rest narrates."""

from __future__ import annotations

import os
import threading

from prefect_experiments.settings import Settings
from prefect_experiments.store.database import Database, parse_url, portable
from prefect_experiments.store.datasets import DatasetStore
from prefect_experiments.store.experiments import EvaluatorRecord, ExperimentRecord, ExperimentStore, TaskRecord
from prefect_experiments.store.failures import FailureStore
from prefect_experiments.store.ingest import IngestStore
from prefect_experiments.store.leases import Lease, LeaseStore
from prefect_experiments.store.links import Link, LinkStore
from prefect_experiments.store.outbox import OutboxStore
from prefect_experiments.store.recorder import Recorder
from prefect_experiments.store.results import ResultStore


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
        self.results = ResultStore(self.database)
        self.failures = FailureStore(self.database)
        self.links = LinkStore(self.database)
        self.outbox = OutboxStore(self.database)
        self.leases = LeaseStore(self.database)
        self.ingest = IngestStore(self.database, self.experiments)

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return self.database.shown_url

    @property
    def portable_url(self) -> str:
        """The URL as other processes can be told it: without a secret."""
        return portable(self.database.url)

    def close(self) -> None:
        """Close every connection."""
        self.database.dispose()


_open: dict[str, Store] = {}
_open_lock = threading.Lock()
_inherited: list[Store] = []


def open_store(url: str | None = None) -> Store:
    """The store at a URL, one for each process; without a URL the one that the settings name.

    Raises:
        InvalidSetting: the URL cannot be used.
        StoreUnavailable: the database does not answer.
    """
    canonical = parse_url(url or Settings().resolved_store_url()).render_as_string(hide_password=False)
    with _open_lock:
        if canonical not in _open:
            _open[canonical] = Store(canonical)
        return _open[canonical]


def _after_fork() -> None:
    """A forked process opens its own connections; it must not even close those of its parent."""
    global _open_lock
    _open_lock = threading.Lock()
    _inherited.extend(_open.values())
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


__all__ = ["EvaluatorRecord", "ExperimentRecord", "Lease", "Link", "Recorder", "Store", "TaskRecord", "open_store"]
