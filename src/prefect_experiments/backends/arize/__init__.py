"""Arize AX as a backend, over its REST API; neither gRPC nor the package `arize` is needed."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from prefect_experiments.backends.arize.api import ArizeApi, ArizeHttp
from prefect_experiments.backends.arize.connection import ArizeSettings, Connection, arize_connection, sends_traces
from prefect_experiments.backends.arize.datasets import ArizeDatasets
from prefect_experiments.backends.arize.experiments import ArizeExperiments
from prefect_experiments.backends.arize.pushing import ArizePusher, arize_pusher
from prefect_experiments.backends.arize.spaces import Space
from prefect_experiments.backends.arize.spans import ArizeSpans
from prefect_experiments.backends.base import Backend, Capabilities, Draft, PulledResults
from prefect_experiments.models import Dataset, Experiment
from prefect_experiments.store import Link, Store
from prefect_experiments.sync import run_sync


class ArizeBackend:
    """Datasets and experiments in an Arize AX; see `backends.base.Remote`."""

    name = "arize"
    capabilities = Capabilities(
        versions_stay=False,  # others may change a version in place
        empty_experiments=False,
        late_evaluations=False,
        experiments_without_dataset=True,
        names_unique=True,
        example_counts=False,
        examples_in_order=False,
        dataset_descriptions=False,
        spaces=True,
        spans=True,
    )

    def __init__(self, settings: ArizeSettings) -> None:
        connection = arize_connection(settings)
        self.traces = sends_traces(settings)
        self._set_up(connection, ArizeApi(ArizeHttp(connection.api)), connection.space)

    def _set_up(self, connection: Connection, api: ArizeApi, space: str | None) -> None:
        self._connection = connection
        self._api = api
        self._space = Space(api, space)
        self.target = f"{self.name} {connection.api.base_url}"
        self.datasets = ArizeDatasets(api, self._space, connection.largest_body)
        self.experiments = ArizeExperiments(api, self._space, self.datasets)
        self.spans = ArizeSpans(api, self._space)

    def __repr__(self) -> str:
        return f"ArizeBackend({self._connection.api.base_url!r}, space={self._space.given!r})"

    def in_space(self, space: str) -> ArizeBackend:
        """The same AX with another space, by id or name."""
        if space == self._space.given:
            return self
        other = object.__new__(ArizeBackend)
        other.traces = self.traces
        other._set_up(self._connection, self._api, space)
        return other

    def check(self) -> None:
        """Make sure that this is AX, that it lets us in, and that the space is there."""

        async def check() -> None:
            await self._api.check()
            await self._space.id()

        run_sync(check)

    def put_version(self, name: str, dataset: Dataset, at: tuple[str, str] | None = None) -> tuple[str, str]:
        """Make sure that a dataset has a version with this content; its ids."""
        return self.datasets.put(name, dataset, at)

    def newest_version(self, dataset_id: str) -> str:
        """The id of the newest version."""
        return self.datasets.info(dataset_id).version_id

    def begin(self, draft: Draft) -> Experiment:
        """See that the experiment can be made; it is, with its first results."""
        return self.experiments.begin(draft)

    def pull(self, experiment: Experiment) -> PulledResults:
        """Everything that is there of an experiment."""
        return self.experiments.pull(experiment)

    def pusher(self, store: Store, link: Link) -> AbstractAsyncContextManager[ArizePusher]:
        """What takes an experiment's results."""
        return arize_pusher(self._api, self.datasets, self._space, store, link, self._connection.largest_body)

    def page_url(self, experiment: Experiment) -> str | None:  # noqa: ARG002
        """Nothing: AX's pages are found by ids that its API does not give."""
        return None

    def trace_export(self) -> Any:
        """Where the spans of an experiment go; ``None`` unless that was asked for.

        Raises:
            InvalidSetting: nobody has said which space, which AX's collector wants to know.
            NotFound: there is no such space.
        """
        if not self.traces:
            return None
        from prefect_experiments.tracing import TraceExport

        space_id, key = run_sync(self._space.required), self._connection.api_key.get_secret_value()
        return TraceExport(
            endpoint=f"{self._connection.otlp_url}/v1/traces",
            # Those that AX's own package for OpenTelemetry sends, older and newer names.
            headers={
                "authorization": key,
                "api_key": key,
                "arize-space-id": space_id,
                "space_id": space_id,
                "arize-interface": "otel",
            },
            way=self._connection.way_to_collector(),
        )


BACKEND = Backend("arize", ArizeSettings, ArizeBackend)
