"""Arize Phoenix as a backend, over its REST API."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from prefect_experiments.backends.base import Backend, Capabilities, Draft, PulledResults, Pusher
from prefect_experiments.backends.http import Http
from prefect_experiments.backends.phoenix.api import PhoenixApi
from prefect_experiments.backends.phoenix.connection import PhoenixSettings, phoenix_address
from prefect_experiments.backends.phoenix.datasets import PhoenixDatasets
from prefect_experiments.backends.phoenix.experiments import PhoenixExperiments
from prefect_experiments.backends.phoenix.pushing import phoenix_pusher
from prefect_experiments.backends.phoenix.spans import PhoenixSpans
from prefect_experiments.models import Dataset, Experiment
from prefect_experiments.store import Link, Store
from prefect_experiments.sync import run_sync


class PhoenixBackend:
    """Datasets, experiments and traces in a Phoenix; see `backends.base.Remote`."""

    name = "phoenix"
    capabilities = Capabilities(spans=True, metadata_changes=True)

    def __init__(self, settings: PhoenixSettings) -> None:
        self.address = phoenix_address(settings)
        self.target = f"{self.name} {self.address.base_url}"
        self._api = PhoenixApi(Http(self.address))
        self.datasets = PhoenixDatasets(self._api)
        self.experiments = PhoenixExperiments(self._api)
        self.spans = PhoenixSpans(self._api)

    def __repr__(self) -> str:
        return f"PhoenixBackend({self.address.base_url!r})"

    def check(self) -> None:
        """Make sure that this is a Phoenix that lets us in."""
        run_sync(self._api.check)

    def put_version(self, name: str, dataset: Dataset, at: tuple[str, str] | None = None) -> tuple[str, str]:  # noqa: ARG002
        """Make sure that a dataset has a version with this content; its ids."""
        return self.datasets.put(name, dataset)

    def newest_version(self, dataset_id: str) -> str:
        """The id of the newest version."""
        return str(run_sync(lambda: self._api.versions(dataset_id, limit=1))[0]["version_id"])

    def begin(self, draft: Draft) -> Experiment:
        """A new experiment."""
        return self.experiments.begin(draft)

    def add_metadata(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        """Add to an experiment's metadata."""
        self.experiments.add_metadata(experiment_id, metadata)

    def pull(self, experiment: Experiment) -> PulledResults:
        """Everything that is there of an experiment."""
        return self.experiments.pull(experiment)

    def pusher(self, store: Store, link: Link) -> AbstractAsyncContextManager[Pusher]:
        """What takes an experiment's results."""
        return phoenix_pusher(self._api, store, link)

    def page_url(self, experiment: Experiment) -> str:
        """Phoenix's page that compares the experiments of a dataset, at this one."""
        return f"{self.address.base_url}/datasets/{experiment.dataset_id}/compare?experimentId={experiment.id}"

    def trace_export(self) -> Any:
        """Where the spans of an experiment go."""
        from prefect_experiments.tracing import TraceExport

        endpoint = f"{self.address.base_url}/v1/traces"
        return TraceExport(endpoint=endpoint, headers=self.address.headers, way=self.address.way)


BACKEND = Backend("phoenix", PhoenixSettings, PhoenixBackend)
