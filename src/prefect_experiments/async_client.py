"""`AsyncClient`: the calls of `Client`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.client import Client, Datasets, Experiments, Spans
from prefect_experiments.client.ax_run import AxRunArguments, check_space
from prefect_experiments.client.experiments import with_experiment
from prefect_experiments.models import Dataset, DatasetInfo, DatasetVersion, Experiment
from prefect_experiments.pages import DatasetList, ExampleList, ExperimentList, ExperimentRunList
from prefect_experiments.signatures import method_takes
from prefect_experiments.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.orchestration.logged import LoggedExperiment


class AsyncClient:
    """`Client` for asynchronous code: the same calls, awaited. See there.

    Attributes:
        sync: the client whose calls they are.
    """

    def __init__(self, **arguments: Any) -> None:
        self.sync = Client(**arguments)
        self.backend = self.sync.backend
        self.remote = self.sync.remote
        self.store: Store = self.sync.store
        self.datasets = AsyncDatasets(self.sync.datasets)
        self.experiments = AsyncExperiments(self, self.sync.experiments)
        self.spans = AsyncSpans(self.sync.spans)


class AsyncDatasets:
    """``async_client.datasets``: the calls of `Datasets`, awaited."""

    def __init__(self, sync: Datasets) -> None:
        self._sync = sync

    async def create(self, **arguments: Any) -> Dataset:
        """`Datasets.create`."""
        return await asyncio.to_thread(partial(self._sync.create, **arguments))

    async def append_examples(self, **arguments: Any) -> Dataset:
        """`Datasets.append_examples`."""
        return await asyncio.to_thread(partial(self._sync.append_examples, **arguments))

    async def get(self, **arguments: Any) -> Dataset:
        """`Datasets.get`."""
        return await asyncio.to_thread(partial(self._sync.get, **arguments))

    async def list(self, **arguments: Any) -> DatasetList:
        """`Datasets.list`."""
        return await asyncio.to_thread(partial(self._sync.list, **arguments))

    async def delete(self, **arguments: Any) -> None:
        """`Datasets.delete`."""
        await asyncio.to_thread(partial(self._sync.delete, **arguments))

    async def create_dataset(self, **arguments: Any) -> Dataset:
        """`Datasets.create_dataset`."""
        return await asyncio.to_thread(partial(self._sync.create_dataset, **arguments))

    async def add_examples_to_dataset(self, **arguments: Any) -> Dataset:
        """`Datasets.add_examples_to_dataset`."""
        return await asyncio.to_thread(partial(self._sync.add_examples_to_dataset, **arguments))

    async def get_dataset(self, **arguments: Any) -> Dataset:
        """`Datasets.get_dataset`."""
        return await asyncio.to_thread(partial(self._sync.get_dataset, **arguments))

    async def get_info(self, **arguments: Any) -> DatasetInfo:
        """`Datasets.get_info`."""
        return await asyncio.to_thread(partial(self._sync.get_info, **arguments))

    async def list_datasets(self, **arguments: Any) -> DatasetList:
        """`Datasets.list_datasets`."""
        return await asyncio.to_thread(partial(self._sync.list_datasets, **arguments))

    async def list_versions(self, **arguments: Any) -> Sequence[DatasetVersion]:
        """`Datasets.list_versions`."""
        return await asyncio.to_thread(partial(self._sync.list_versions, **arguments))

    async def list_examples(self, **arguments: Any) -> ExampleList:
        """`Datasets.list_examples`."""
        return await asyncio.to_thread(partial(self._sync.list_examples, **arguments))

    async def update_examples(self, **arguments: Any) -> Dataset:
        """`Datasets.update_examples`."""
        return await asyncio.to_thread(partial(self._sync.update_examples, **arguments))

    async def delete_dataset(self, **arguments: Any) -> None:
        """`Datasets.delete_dataset`."""
        await asyncio.to_thread(partial(self._sync.delete_dataset, **arguments))

    async def export_dataset(self, **arguments: Any) -> Path:
        """`Datasets.export_dataset`."""
        return await asyncio.to_thread(partial(self._sync.export_dataset, **arguments))


class AsyncExperiments:
    """``async_client.experiments``: the calls of `Experiments`, awaited."""

    def __init__(self, client: AsyncClient, sync: Experiments) -> None:
        self._client = client
        self._sync = sync

    async def run_experiment(self, **arguments: Any) -> RanExperiment:
        """`prefect_experiments.arun_experiment` on this client's store."""
        from prefect_experiments.orchestration.runs import arun_experiment

        return await arun_experiment(client=self._client, **arguments)

    async def resume_experiment(self, *, experiment_id: str | None = None, **arguments: Any) -> RanExperiment:
        """`prefect_experiments.aresume_experiment` on this client's store; ``experiment_id`` is Phoenix's word."""
        from prefect_experiments.orchestration.runs import aresume_experiment

        return await aresume_experiment(client=self._client, **with_experiment(experiment_id, arguments))

    async def evaluate_experiment(self, **arguments: Any) -> RanExperiment:
        """`prefect_experiments.aevaluate_experiment` on this client's store."""
        from prefect_experiments.orchestration.runs import aevaluate_experiment

        return await aevaluate_experiment(client=self._client, **arguments)

    async def resume_evaluation(self, *, experiment_id: str, **arguments: Any) -> RanExperiment:
        """`Experiments.resume_evaluation`."""
        return await self.evaluate_experiment(experiment=experiment_id, **arguments)

    async def log_experiment(self, **arguments: Any) -> LoggedExperiment:
        """`prefect_experiments.alog_experiment` on this client's store."""
        from prefect_experiments.orchestration.log_flow import alog_experiment

        return await alog_experiment(client=self._client, **arguments)

    async def create(self, **arguments: Any) -> Experiment:
        """`Experiments.create`."""
        return await asyncio.to_thread(partial(self._sync.create, **arguments))

    @method_takes(AxRunArguments)
    async def run(self, arguments: AxRunArguments) -> tuple[Experiment | None, pd.DataFrame]:
        """`Experiments.run`."""
        from prefect_experiments.orchestration.runs import run_new

        check_space(arguments.space)
        return arguments.answer(await run_new(arguments.ours(), self._client.sync.in_space(arguments.space)))

    async def list(self, **arguments: Any) -> ExperimentList:
        """`Experiments.list`."""
        return await asyncio.to_thread(partial(self._sync.list, **arguments))

    async def get(self, **arguments: Any) -> Experiment:
        """`Experiments.get`."""
        return await asyncio.to_thread(partial(self._sync.get, **arguments))

    async def get_results(self, **arguments: Any) -> RanExperiment:
        """`Experiments.get_results`."""
        return await asyncio.to_thread(partial(self._sync.get_results, **arguments))

    async def get_experiment(self, *, experiment_id: str) -> RanExperiment:
        """`Experiments.get_experiment`."""
        return await self.get_results(experiment=experiment_id)

    async def delete(self, **arguments: Any) -> None:
        """`Experiments.delete`."""
        await asyncio.to_thread(partial(self._sync.delete, **arguments))

    async def list_runs(self, **arguments: Any) -> ExperimentRunList:
        """`Experiments.list_runs`."""
        return await asyncio.to_thread(partial(self._sync.list_runs, **arguments))

    async def annotate_runs(self, **arguments: Any) -> int:
        """`Experiments.annotate_runs`."""
        return await asyncio.to_thread(partial(self._sync.annotate_runs, **arguments))

    async def tag(self, **arguments: Any) -> Experiment:
        """`Experiments.tag`."""
        return await asyncio.to_thread(partial(self._sync.tag, **arguments))

    async def untag(self, **arguments: Any) -> Experiment:
        """`Experiments.untag`."""
        return await asyncio.to_thread(partial(self._sync.untag, **arguments))

    async def compare(self, **arguments: Any) -> Comparison | tuple[Comparison, ...]:
        """`prefect_experiments.acompare_experiments` on this client's store and backend."""
        from prefect_experiments.orchestration.comparing import acompare_experiments

        return await acompare_experiments(client=self._client, **{"print_summary": False, **arguments})

    async def push(self, **arguments: Any) -> RanExperiment:
        """`Experiments.push`."""
        return await asyncio.to_thread(partial(self._sync.push, **arguments))

    async def export(self, **arguments: Any) -> Path:
        """`Experiments.export`."""
        return await asyncio.to_thread(partial(self._sync.export, **arguments))


class AsyncSpans:
    """``async_client.spans``: the calls of `Spans`, awaited."""

    def __init__(self, sync: Spans) -> None:
        self._sync = sync

    async def get_spans_dataframe(self, **arguments: Any) -> pd.DataFrame:
        """`Spans.get_spans_dataframe`."""
        return await asyncio.to_thread(partial(self._sync.get_spans_dataframe, **arguments))
