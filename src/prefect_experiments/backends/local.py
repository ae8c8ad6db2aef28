"""The store as a backend: the management calls, without anything between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefect_experiments.models import AnnotateRecordInput, Dataset, DatasetInfo, DatasetVersion, Example, Experiment
from prefect_experiments.pages import Pagination
from prefect_experiments.store import Store


class LocalDatasets:
    """See `backends.base.Datasets`."""

    def __init__(self, store: Store) -> None:
        self._store = store.datasets

    def create(
        self,
        name: str,
        content: Sequence[Example],
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """A new dataset."""
        return self._at(self._store.create(name, content, description=description, metadata=metadata))

    def holding(self, name: str, content: Sequence[Example]) -> Dataset | None:
        """The newest version of the dataset of a name, if it has just this content."""
        newest = self._store.version(name)
        return self._at(newest) if self._store.holds(newest, content) else None

    def append(self, dataset: str, content: Sequence[Example]) -> Dataset:
        """A new version with further examples at its end."""
        return self._at(self._store.append(dataset, content))

    def update(self, dataset: str, content: Sequence[Example]) -> Dataset:
        """A new version in which these examples, by id, are as given."""
        return self._at(self._store.update(dataset, content))

    def get(self, dataset: str, *, version: str | None = None, splits: Sequence[str] = ()) -> Dataset:
        """A dataset with its examples."""
        return self._store.get(dataset, version=version, splits=splits or None)

    def info(self, dataset: str) -> DatasetInfo:
        """A dataset without its examples."""
        return self._store.info(dataset)

    def page(self, *, limit: int, cursor: str | None) -> tuple[list[DatasetInfo], Pagination]:
        """Datasets, newest first."""
        return self._store.page(limit=limit, cursor=cursor)

    def versions(self, dataset: str) -> Sequence[DatasetVersion]:
        """All versions, newest first."""
        return self._store.versions(dataset)

    def delete(self, dataset: str) -> None:
        """Delete a dataset with every experiment on it."""
        self._store.delete(dataset)

    def _at(self, version: DatasetVersion) -> Dataset:
        return self._store.get(version.dataset_id, version=version.id)


class LocalExperiments:
    """See `backends.base.Experiments`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, *, dataset: str | None, limit: int, cursor: str | None) -> tuple[list[Experiment], Pagination]:
        """Experiments, newest first."""
        return self._store.experiments.page(dataset=dataset, limit=limit, cursor=cursor)

    def find(self, experiment: str, dataset: str | None = None) -> Experiment:
        """One experiment."""
        return self._store.experiments.get(experiment, dataset=dataset).experiment

    def delete(self, experiment_id: str) -> None:
        """Delete an experiment with all that belongs to it."""
        self._store.experiments.delete(experiment_id)

    def check_name(self, name: str) -> None:
        """What the store takes is checked by the store."""

    def tag(self, experiment_id: str, tag: str) -> None:
        """Give a tag."""
        self._store.experiments.tag(experiment_id, tag)

    def untag(self, experiment_id: str, tag: str) -> None:
        """Take a tag away."""
        self._store.experiments.untag(experiment_id, tag)

    def annotate(
        self,
        annotations: Sequence[AnnotateRecordInput],
        annotator: str | None,
        experiment_id: str | None = None,  # noqa: ARG002
    ) -> int:
        """Write people's annotations."""
        return self._store.results.annotate(annotations, annotator)
