"""From what a caller names as the dataset to a pinned version and the examples to use of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect_experiments import datasets, keys
from prefect_experiments.backends import Remote
from prefect_experiments.backends.linking import keep_mirrored, remote_version_of
from prefect_experiments.datasets.kept_rows import rows_of
from prefect_experiments.errors import InvalidDataset, InvalidSetting, NotFound
from prefect_experiments.experiment.dataset_files import check_readable, opened
from prefect_experiments.experiment.naming import about_dataset
from prefect_experiments.experiment.needs import Examples, GivenExamples, KeptExamples
from prefect_experiments.models import Dataset, DatasetVersion, Example
from prefect_experiments.options import Sample, Selection, names_of
from prefect_experiments.store import Store
from prefect_experiments.store.links import RemoteVersion
from prefect_experiments.store.paging import check_name


@dataclass(frozen=True, slots=True)
class Pin:
    """The examples an experiment is made on.

    Attributes:
        positions: ``None`` for all of the version.
    """

    version: DatasetVersion
    positions: tuple[int, ...] | None = None
    splits: tuple[str, ...] = ()


class DatasetSource:
    """A dataset as the caller named it, read and checked, but not yet written anywhere.

    Args:
        dataset: a `Dataset`, the name or id of one in the backend or the store, the path of a file,
            a DataFrame, or a list of examples or mappings. Content that the store does not have is
            put there: a file under its own name without the suffix, nameless content under a name
            made of it.
        store: where names and ids are looked up, after the backend.
        selection: what to use of it.
        remote: the backend, if it is not the store.
        types: of the columns of a file or a table, see `datasets.load`.

    Raises:
        InvalidDataset: the file or the content cannot be used, or nothing is left to use.
        InvalidInput: its name cannot be one, or there are types for a dataset that is kept.
        NotFound: no dataset of that name or id.
    """

    def __init__(
        self,
        dataset: Any,
        store: Store,
        selection: Selection,
        remote: Remote | None = None,
        types: Mapping[str, str] | None = None,
    ) -> None:
        self._remote = remote
        self._key = ""
        self._version = selection.dataset_version
        self._sample = selection.sample
        self._content: Sequence[Example] | None = None
        self._description: str | None = None
        self._kept: Dataset | None = None  # a `Dataset` of this store: its examples are the ones to use
        self._theirs: Dataset | None = None  # a version of the backend's that is not here yet
        self._chosen: Sequence[Example] | None = None  # those of the splits, as the backend has them now
        self._only = names_of(selection.splits)
        self._splits = self._only
        dataset = opened(dataset)
        if isinstance(dataset, Path):
            dataset = str(dataset)
        self.name = ""
        with about_dataset(*_called(dataset)):
            try:
                self._find(dataset, store, remote, types)
            except NotFound:
                check_readable(dataset)  # a directory, say, which looks like a name
                raise
            self.examples = self._select(store)

    def _find(self, dataset: Any, store: Store, remote: Remote | None, types: Mapping[str, str] | None) -> None:
        if isinstance(dataset, Dataset):
            self._splits = self._splits or dataset.splits
        if isinstance(dataset, Dataset) and dataset.id and _is_kept(store, dataset):
            self.name, self._kept = dataset.name, dataset
            self._key, self._version = dataset.id, dataset.version_id
        elif remote is None or not self._is_in(remote, dataset, store):
            if isinstance(dataset, str) and not datasets.is_path(dataset):
                self._key = dataset
                self.name = store.datasets.info(dataset).name
            else:
                self._content = _loaded(dataset, types)
                self.name = check_name(_name_of(dataset, self._content), "dataset")
                self._description = dataset.description if isinstance(dataset, Dataset) else None
        if self._content is not None and self._version is not None:
            raise InvalidSetting(
                f"dataset_version={self._version!r}: only kept datasets have versions, files have none"
            )
        if types and self._content is None:
            raise InvalidSetting(f"types= are for files and tables; dataset {self.name!r} is kept with its values")

    def _is_in(self, remote: Remote, dataset: Any, store: Store) -> bool:
        """Whether the backend has the dataset; then it is known here which version it is."""
        if isinstance(dataset, Dataset) and dataset.id and dataset.version_id:
            there = remote_version_of(dataset)
            self._chosen = dataset.examples
            if self._only:
                self._chosen = datasets.of_splits(dataset.examples, self._only, dataset.name)
        elif isinstance(dataset, str) and not datasets.is_path(dataset):
            try:
                info = remote.datasets.info(dataset)
            except NotFound:
                if _has(store, dataset):
                    return False
                raise
            there = RemoteVersion(info.id, self._version or info.version_id, info.created_at.timestamp())
        else:
            return False
        key, version, _ = there
        known = store.links.local_version(remote.target, there)
        if known is not None and remote.capabilities.versions_stay:
            self._key, self._version = known
            self.name = store.datasets.info(self._key).name
        else:
            try:
                self._theirs = remote.datasets.get(key, version=version)
            except NotFound:
                if isinstance(dataset, Dataset):  # another backend's: its content is used
                    self._chosen = None
                    return False
                raise
            self.name = self._theirs.name
        if self._splits and self._chosen is None:
            self._chosen = remote.datasets.get(key, version=version, splits=self._splits).examples
        return True

    def _select(self, store: Store) -> Sequence[Example] | None:
        """The examples to use; ``None`` for all of a version, which need not be read here."""
        sample = self._sample
        whole = self._content is None and self._kept is None and self._theirs is None and self._chosen is None
        if whole and not self._only and sample is None:
            if store.datasets.version(self._key, self._version).example_count == 0:
                raise InvalidDataset(f"dataset {self.name!r} has no examples")
            return None
        if self._chosen is not None:
            chosen: Sequence[Example] = self._chosen
        elif self._kept is not None:
            chosen = self._kept.examples
        elif self._theirs is not None:
            chosen = self._theirs.examples
        elif self._content is not None:
            chosen = self._content
        else:
            chosen = store.datasets.get(self._key, version=self._version).examples
        if self._only and self._chosen is None:
            chosen = datasets.of_splits(chosen, self._only, self.name)
        if sample is not None:
            chosen = datasets.draw(chosen, sample)
        if not chosen:
            raise InvalidDataset(f"dataset {self.name!r} has no examples to run on")
        return chosen

    def to_use(self, store: Store) -> Examples:
        """The examples to use, for whoever wants to look at them before they are."""
        if self.examples is not None:
            return GivenExamples(self.name, self.examples)
        return KeptExamples(self.name, store, store.datasets.version(self._key, self._version))

    def example_ids(self, store: Store) -> list[str]:
        """The ids of the examples to use, in dataset order."""
        if self.examples is not None:
            return [example.id for example in self.examples]
        version = store.datasets.version(self._key, self._version)
        return [example_id for _, example_id, _ in store.datasets.each_place(version)]

    def pin(self, store: Store) -> Pin:
        """Put the content into the store where it is new, and name the version and the examples."""
        if self._content is not None:
            version = store.datasets.put(self.name, self._content, description=self._description)
        elif self._theirs is not None:
            assert self._remote is not None
            version = keep_mirrored(store, self._remote, self._theirs)
        else:
            version = store.datasets.version(self._key, self._version)
        return Pin(version, self._positions(store, version), self._splits)

    def _positions(self, store: Store, version: DatasetVersion) -> tuple[int, ...] | None:
        if self.examples is None or len(self.examples) == version.example_count:
            return None
        wanted = {row.example_id for row in rows_of(self.examples)}
        outline = store.datasets.each_place(version)
        return tuple(position for position, example_id, _ in outline if example_id in wanted)

    def pin_sample(self, store: Store, *, source: Store, sample: Sample) -> Pin:
        """Pin a sample in another store, for a dry run."""
        examples = self.examples
        if examples is None:
            examples = source.datasets.get(self._key, version=self._version).examples
        return Pin(store.datasets.put(self.name, datasets.draw(examples, sample)))


def _loaded(dataset: Any, types: Mapping[str, str] | None) -> Sequence[Example]:
    """The examples of a dataset's content."""
    try:
        return datasets.load(dataset, types=types)
    except datasets.UnclearColumns as error:
        if isinstance(dataset, str):
            source = f"name={Path(dataset).stem!r}, file={dataset!r}"
        else:
            source = f"name=..., {'dataframe' if datasets.is_tabular(dataset) else 'examples'}=..."
        raise InvalidDataset(
            f"{error}. That is said where a dataset is made: dataset=Client().datasets.create_dataset({source}, "
            "input_keys=[...], output_keys=[...], if_exists='new_version')"
        ) from error


def _is_kept(store: Store, dataset: Dataset) -> bool:
    """Whether this store has the very version that the dataset is of."""
    try:
        store.datasets.version(dataset.id, dataset.version_id)
    except NotFound:
        return False
    return True


def _has(store: Store, dataset: str) -> bool:
    try:
        store.datasets.info(dataset)
    except NotFound:
        return False
    return True


def _called(dataset: Any) -> tuple[str, ...]:
    """What a caller calls the dataset; rows have no name."""
    if isinstance(dataset, Dataset):
        return (dataset.name,)
    if isinstance(dataset, str):
        return (Path(dataset).stem, dataset) if datasets.is_path(dataset) else (dataset,)
    return ()


def _name_of(dataset: Any, content: Sequence[Example]) -> str:
    if isinstance(dataset, Dataset):
        return dataset.name
    if isinstance(dataset, str):
        return Path(dataset).stem
    return "dataset-" + keys.fingerprint([row.example_id for row in rows_of(content)])[:12]
