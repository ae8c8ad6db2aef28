"""``client.datasets``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

from prefect_experiments import datasets as sources
from prefect_experiments.backends import base as backends
from prefect_experiments.backends.local import LocalDatasets
from prefect_experiments.datasets.kept_rows import rows_of
from prefect_experiments.errors import AlreadyExists, InvalidDataset, InvalidInput
from prefect_experiments.experiment.arguments import Place, Rows, SpeaksArrow
from prefect_experiments.experiment.dataset_files import opened
from prefect_experiments.experiment.naming import about_dataset
from prefect_experiments.models import Dataset, DatasetInfo, DatasetVersion, Example
from prefect_experiments.options import AsIs, Columns, IfExists, Options, names_of
from prefect_experiments.pages import DatasetList, ExampleList, Pagination
from prefect_experiments.results.frame import example_frame
from prefect_experiments.results.stored import StoredExamples
from prefect_experiments.signatures import method_takes
from prefect_experiments.store.paging import check_limit, decode_cursor, encode_cursor


class Content(Columns):
    """What becomes examples: exactly one of examples, a DataFrame and a file; and how."""

    examples: Annotated[Rows | None, AsIs] = None
    """`Example` objects, or mappings."""
    dataframe: Annotated[SpeaksArrow | None, AsIs] = None
    """one row an example: of pandas, or anything else that speaks Arrow, such as polars."""
    file: Annotated[str | Path | None, AsIs] = None
    """path of a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file; also of a .json file of pixie's."""
    span_id_key: str | None = None
    """the column with the ids of the spans that the rows were made from; by default ``context.span_id``, where there is
    one."""
    types: Annotated[Mapping[str, str] | None, AsIs] = None
    """by column, what its cells are: ``text``, ``number``, ``bool`` or ``json``. A CSV file has no types: where nothing
    is said, its cells are text."""

    def read(self, source: Any, origin: str, existing_ids: Iterable[str] = ()) -> Sequence[Example]:
        """The examples in a source."""
        return sources.load(
            opened(source),
            **Columns.of(self),
            span_id_key=self.span_id_key,
            types=self.types,
            origin=origin,
            existing_ids=existing_ids,
        )


class Naming(Options):
    """What a new dataset is called."""

    name: Annotated[str, AsIs]
    """not in use yet."""
    description: str | None = None
    """a sentence for people."""


_FEW = 3  # ids that a message names of those that differ


class NewDataset(Content, Naming):
    """What `create_dataset` takes."""

    metadata: Annotated[Mapping[str, Any] | None, AsIs] = None
    """of the dataset as a whole."""
    if_exists: IfExists = "error"
    """what becomes of a dataset that has the name: ``"reuse"`` gives it where its examples are these, and refuses
    others; ``"new_version"`` gives it at a version with these examples, which is made where it is not the newest;
    ``"error"`` refuses. Its description and metadata stay."""


class MoreExamples(Content):
    """What `add_examples_to_dataset` takes."""

    dataset: Annotated[str | Dataset, AsIs]
    """name or id."""


class Home(Place, Protocol):
    """The client that calls belong to."""

    def in_space(self, space: str | None) -> Self:
        """The same in another space of the backend."""


class Datasets:
    """``client.datasets``."""

    def __init__(self, client: Home) -> None:
        self.client = client
        remote = client.remote
        self._kept: backends.Datasets = LocalDatasets(client.store) if remote is None else remote.datasets

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.client, "datasets")

    @method_takes(NewDataset)
    def create_dataset(self, given: NewDataset) -> Dataset:
        """A new dataset, from exactly one of examples, a DataFrame and a file.

        Raises:
            InvalidDataset: content that cannot be used; nothing is written.
            AlreadyExists: the name is in use, and `if_exists` does not say what to do then.
        """
        content = given.read(only_source(given.examples, given.dataframe, given.file), f"dataset {given.name!r}")
        try:
            return self._kept.create(given.name, content, description=given.description, metadata=given.metadata)
        except AlreadyExists as error:
            if given.if_exists == "error":
                raise AlreadyExists(
                    f"{error}; if_exists='reuse' (--if-exists reuse) takes it where it has these examples, "
                    "if_exists='new_version' (--if-exists new_version) makes a version with them"
                ) from None
        return self._existing(given.name, content, given.if_exists)

    def _existing(self, name: str, content: Sequence[Example], if_exists: IfExists) -> Dataset:
        """The dataset of a name at a version with this content."""
        if (same := self._kept.holding(name, content)) is not None:
            return same
        if if_exists == "reuse":
            there = self._kept.get(name)
            raise AlreadyExists(
                f"there is a dataset {name!r} already ({there.id}), with other examples: "
                f"{_differences(there, content)}; if_exists='new_version' (--if-exists new_version) makes a version "
                "with those given, another name another dataset"
            )
        if (remote := self.client.remote) is None:
            version_id = self.client.store.datasets.put(name, content).id
        else:
            _, version_id = remote.put_version(name, Dataset(name=name, examples=content))
        return self._kept.get(name, version=version_id)

    @method_takes(MoreExamples)
    def add_examples_to_dataset(self, given: MoreExamples) -> Dataset:
        """A new version of a dataset with further examples at its end; see `create_dataset`.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an id that the dataset has already.
        """
        key = dataset_key(given.dataset)
        with about_dataset(key):
            source = only_source(given.examples, given.dataframe, given.file)
            there = (row.example_id for row in rows_of(self._kept.get(key).examples))
            return self._kept.append(key, given.read(source, f"dataset {key!r}", there))

    def update_examples(self, *, dataset: str | Dataset, examples: Sequence[Mapping[str, Any] | Example]) -> Dataset:
        """A new version in which these examples are as given; the others stay as they are.

        Args:
            dataset: name or id.
            examples: `Example` objects or mappings, each with its ``id``; one with an id that is
                new comes at the end.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an example without an id.
        """
        for number, example in enumerate(examples, start=1):
            if isinstance(example, Mapping | Example) and not (example.get("id") or example.get("example_id")):
                raise InvalidDataset(f"example {number} has no id; update_examples goes by ids")
        key = dataset_key(dataset)
        return self._kept.update(key, sources.load(examples, origin=f"dataset {key!r}"))

    def get_dataset(
        self,
        *,
        dataset: str | Dataset | None = None,
        name: str | None = None,
        version_id: str | None = None,
        splits: str | Iterable[str] | None = None,
    ) -> Dataset:
        """A dataset with its examples.

        Args:
            dataset: name or id, or a `Dataset` to get anew.
            name: the same as `dataset`.
            version_id: id or number of a version; default, the newest.
            splits: only the examples of one of these.

        Raises:
            NotFound: no such dataset or version.
            InvalidDataset: a split that no example belongs to.
        """
        return self._get(one_of(dataset=dataset, name=name), version_id, names_of(splits))

    def _get(self, dataset: str | Dataset | None, version: str | None, splits: Sequence[str] = ()) -> Dataset:
        key = dataset_key(dataset)
        with about_dataset(key):
            return self._kept.get(key, version=version, splits=splits)

    def get_info(self, *, dataset: str | Dataset) -> DatasetInfo:
        """A dataset without its examples."""
        return self._kept.info(dataset_key(dataset))

    def list_datasets(self, *, limit: int = 50, cursor: str | None = None) -> DatasetList:
        """Datasets, newest first; at most 1,000 a page."""
        return DatasetList(*self._kept.page(limit=check_limit(limit), cursor=cursor))

    def list_versions(self, *, dataset: str | Dataset) -> list[DatasetVersion]:
        """All versions of a dataset, newest first."""
        return list(self._kept.versions(dataset_key(dataset)))

    def list_examples(
        self,
        *,
        dataset: str | Dataset,
        version_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        all: bool = False,
    ) -> ExampleList:
        """Examples in dataset order.

        Args:
            dataset: name or id.
            version_id: id or number of a version; default, the newest.
            limit: examples a page, at most 1,000.
            cursor: where the page begins, from the page before.
            all: every example at once.

        Returns:
            The examples; ``to_df()`` has ``id`` and flat columns.
        """
        every = self._get(dataset, version_id).examples
        start = 0 if cursor is None else int(decode_cursor(cursor, int)[0])
        end = len(every) if all else start + check_limit(limit)
        chosen = every[start:end]
        more = end < len(every)
        pagination = Pagination(has_more=more, next_cursor=encode_cursor([end]) if more else None)
        return ExampleList(chosen, pagination, to_df=partial(example_frame, chosen))

    def delete_dataset(self, *, dataset: str | Dataset) -> None:
        """Delete a dataset with all its versions and all experiments on it."""
        self._kept.delete(dataset_key(dataset))

    def export_dataset(
        self,
        *,
        dataset: str | Dataset,
        path: str | Path,
        version_id: str | None = None,
        for_spreadsheets: bool = False,
    ) -> Path:
        """Write a dataset to a .csv, .json, .jsonl or .parquet file.

        JSON and JSON lines can be read back as they are; CSV and Parquet get flat columns. With `for_spreadsheets`, a
        text of a CSV file that a spreadsheet would take for a formula gets an apostrophe before it.
        """
        sources.write_examples(self._each(dataset, version_id), path, for_spreadsheets=for_spreadsheets)
        return Path(path)

    def _each(self, dataset: str | Dataset, version: str | None) -> Iterable[Example]:
        """The examples in order, to be gone through as often as needed; of the store's never all in memory."""
        if self.client.remote is not None:
            return self._get(dataset, version).examples
        key = dataset_key(dataset)
        with about_dataset(key):
            store = self.client.store
            return StoredExamples(store, store.datasets.version(key, version))


def _differences(there: Dataset, content: Sequence[Example]) -> str:
    """In what examples differ from those of a dataset, by their ids."""
    present, given = {e.id: e for e in there.examples}, {e.id: e for e in content}
    changed = [key for key in given if key in present and _content(given[key]) != _content(present[key])]
    found = [
        ("that it has and that are not given", [key for key in present if key not in given]),
        ("given that it does not have", [key for key in given if key not in present]),
        ("given with another content than there", changed),
    ]
    said = [f"{len(ids):,} {how} ({', '.join(sources.first_few(map(repr, ids), _FEW))})" for how, ids in found if ids]
    return ", ".join([f"{len(there):,} there and {len(content):,} given", *said])


def _content(example: Example) -> tuple[Any, ...]:
    return example.input, example.output, example.metadata, sorted(example.splits)


def only_source(*given: Any) -> Any:
    """The one source of examples that is given.

    Raises:
        InvalidDataset: there is none, or there are several.
    """
    found = [source for source in given if source is not None]
    if len(found) != 1:
        raise InvalidDataset(f"give exactly one of examples=, inputs=, dataframe= and file=; got {len(found)}")
    return found[0]


def one_of(**given: Any) -> Any:
    """What was given under one of several words for the same; ``None`` where nothing was.

    Raises:
        InvalidInput: it was given twice.
    """
    found = {name: value for name, value in given.items() if value is not None}
    if len(found) > 1:
        raise InvalidInput(f"give {'= or '.join(given)}=, not both")
    return next(iter(found.values()), None)


def dataset_key(dataset: str | Dataset | None) -> str:
    """The id or the name in whatever names a dataset."""
    if isinstance(dataset, Dataset):
        return dataset.id or dataset.name
    if not isinstance(dataset, str) or not dataset:
        raise InvalidInput(f"dataset must be a name, an id or a Dataset, got {dataset!r:.80}")
    return dataset
